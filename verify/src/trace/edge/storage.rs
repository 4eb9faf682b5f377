//! What a driver owes to a log and to the file of the vote: writes, syncs, cuts, and their ends.

use highwater_model::id::{LogGeneration, Offset};
use highwater_model::quorum::Vote;
use highwater_model::trace::{Act, Carried, How};

use super::{Book, Cause, EACH_ACT, EACH_END, Kind, Owed, Submitted, Wrong, shown, wrong};

impl<K: Kind> Book<K> {
    pub(super) fn write(
        &mut self,
        from: Offset,
        end: Offset,
        carried: Carried,
        act: &Act<K::Timer>,
    ) -> Result<(), Wrong> {
        let generation = match self.owed.front() {
            Some(Owed::Write { generation, carried: expected, .. }) => {
                let (generation, carried) = (*generation, expected.map(|_| carried));
                self.next(&Owed::Write { from, end, generation, carried }, act)?;
                Some(generation)
            }
            _ if self.stalled > 0 => {
                self.stalled -= 1;
                None
            }
            _ => {
                return self
                    .next(&Owed::Write { from, end, generation: LogGeneration(0), carried: None }, act);
            }
        };
        self.writes_submitted += 1;
        self.writes.push_back(Submitted { end: Some(end), generation, writes_before: 0 });
        Ok(())
    }

    pub(super) fn write_ended(&mut self, how: How, act: &Act<K::Timer>) -> Result<(), Wrong> {
        self.nothing_owed(act)?;
        self.no_end_is_due(act)?;
        let Some(write) = self.writes.pop_front() else {
            return wrong(EACH_END, "no end of a write: none is under way", shown::<K>(act));
        };
        self.writes_ended += 1;
        self.is_due_optional = how != How::Done(write.end.unwrap_or_default()) || write.generation.is_none();
        match how {
            How::Done(end) if write.end.is_some_and(|expected| expected != end) => {
                wrong(EACH_END, format!("{write:?}"), shown::<K>(act))
            }
            How::Done(end) => {
                self.due = write.generation.map(|generation| Cause::Written(end, generation));
                self.is_first = write.generation.is_none();
                Ok(())
            }
            How::NoRoom => {
                self.due = write.generation.map(Cause::WriteFailed);
                self.is_first = write.generation.is_none();
                Ok(())
            }
            How::Failed => {
                self.must_give_up = true;
                Ok(())
            }
        }
    }

    pub(super) fn sync(&mut self, end: Offset, act: &Act<K::Timer>) -> Result<(), Wrong> {
        let generation = match self.owed.front() {
            Some(Owed::Sync { generation }) => {
                let generation = *generation;
                self.next(&Owed::Sync { generation }, act)?;
                Some(generation)
            }
            _ if self.has_stalled => None,
            _ => return self.next(&Owed::Sync { generation: LogGeneration(0) }, act),
        };
        self.syncs.push_back(Submitted { end: Some(end), generation, writes_before: self.writes_submitted });
        Ok(())
    }

    pub(super) fn sync_ended(&mut self, how: How, act: &Act<K::Timer>) -> Result<(), Wrong> {
        self.nothing_owed(act)?;
        self.no_end_is_due(act)?;
        let Some(sync) = self.syncs.pop_front() else {
            return wrong(EACH_END, "no end of a sync: none is under way", shown::<K>(act));
        };
        let How::Done(end) = how else {
            self.must_give_up = true;
            return Ok(());
        };
        if sync.end.is_some_and(|expected| expected != end) || self.writes_ended < sync.writes_before {
            let ended = self.writes_ended;
            return wrong(EACH_END, format!("{sync:?} after {ended} writes"), shown::<K>(act));
        }
        self.is_due_optional = false;
        self.due = sync.generation.map(|generation| Cause::Flushed(end, generation));
        self.is_first = sync.generation.is_none();
        Ok(())
    }

    /// What has ended before must have been given to the core.
    pub(super) fn no_end_is_due(&self, act: &Act<K::Timer>) -> Result<(), Wrong> {
        match &self.due {
            Some(due) if !self.is_due_optional => wrong(EACH_END, format!("{due:?}"), shown::<K>(act)),
            _ => Ok(()),
        }
    }

    pub(super) fn cut(
        &mut self,
        how: How,
        act: &Act<K::Timer>,
        owed: impl Fn(Offset) -> Owed<K::Timer>,
    ) -> Result<(), Wrong> {
        self.reading.iter_mut().for_each(|reading| reading.is_void = true);
        match (how, self.owed.front()) {
            (How::Done(end), _) => self.next(&owed(end), act),
            // The core believes that it is cut.
            (How::NoRoom | How::Failed, Some(Owed::Cut(_) | Owed::Restart(_))) => {
                self.owed.pop_front();
                self.must_give_up = true;
                Ok(())
            }
            _ => wrong(EACH_ACT, "nothing more of this step", shown::<K>(act)),
        }
    }

    pub(super) fn store(&mut self, vote: Vote, act: &Act<K::Timer>) -> Result<(), Wrong> {
        if self.owed.front() == Some(&Owed::Store(vote)) || !self.has_stalled {
            self.next(&Owed::Store(vote), act)?;
        }
        self.stores.push_back(Some(vote));
        Ok(())
    }

    pub(super) fn store_ended(&mut self, how: How, act: &Act<K::Timer>) -> Result<(), Wrong> {
        self.nothing_owed(act)?;
        self.no_end_is_due(act)?;
        let Some(vote) = self.stores.pop_front() else {
            return wrong(EACH_END, "no end of a store: none is under way", shown::<K>(act));
        };
        match how {
            How::Done(_) => {
                self.is_due_optional = false;
                self.due = vote.map(Cause::Stored);
                self.is_first = vote.is_none();
            }
            How::NoRoom => self.has_stalled = true,
            How::Failed => self.must_give_up = true,
        }
        Ok(())
    }

    pub(super) fn stall(&mut self, act: &Act<K::Timer>) -> Result<(), Wrong> {
        if self.owed.pop_front_if(|owed| matches!(owed, Owed::Write { .. })).is_some() {
            self.stalled += 1;
        } else if !self.has_stalled {
            return wrong(EACH_ACT, "no write that waits", shown::<K>(act));
        }
        self.has_stalled = true;
        Ok(())
    }
}
