//! What a driver owes to the transport: messages, and those that wait until their records are read.

use std::fmt::Debug;

use highwater_model::id::{NodeId, Offset};
use highwater_model::trace::{Act, Carried, READS_MAX};

use super::{Book, EACH_ACT, EACH_EFFECT, GENERATION, Kind, Owed, Wrong, shown, shown_owed, wrong};

impl<K: Kind> Book<K> {
    pub(super) fn read(
        &mut self,
        to: NodeId,
        range: (Offset, Offset),
        act: &Act<K::Timer>,
    ) -> Result<(), Wrong> {
        if self.waiting_for(to) >= READS_MAX {
            return wrong(EACH_EFFECT, format!("one of {READS_MAX} messages that wait"), shown::<K>(act));
        }
        match self.owed.front() {
            Some(Owed::Read(owed)) if (owed.to, (owed.from, owed.end)) == (to, range) => {
                self.reading.push_back(owed.clone());
                self.owed.pop_front();
                Ok(())
            }
            Some(owed) => wrong(EACH_EFFECT, shown_owed::<K>(owed), shown::<K>(act)),
            None => wrong(EACH_ACT, "nothing more of this step", shown::<K>(act)),
        }
    }

    /// A message is not sent because too many wait.
    pub(super) fn unread(
        &mut self,
        to: NodeId,
        range: (Offset, Offset),
        act: &Act<K::Timer>,
    ) -> Result<(), Wrong> {
        let unknown = usize::try_from(self.reading_unknown).unwrap_or(usize::MAX);
        let is_full = self.waiting_for(to).saturating_add(unknown) >= READS_MAX;
        let is_it = |owed: &mut Owed<K::Timer>| matches!(owed, Owed::Read(owed) if (owed.to, (owed.from, owed.end)) == (to, range));
        if is_full && self.owed.pop_front_if(is_it).is_some() {
            return Ok(());
        }
        wrong(EACH_ACT, "a message that is sent once its records are read", shown::<K>(act))
    }

    fn waiting_for(&self, to: NodeId) -> usize {
        self.reading.iter().filter(|reading| reading.to == to).count()
    }

    /// No message waits for its records any more: what is not sent is known not to be.
    pub(super) fn nothing_waits(&self, next: &dyn Debug) -> Result<(), Wrong> {
        match self.reading.front() {
            Some(reading) => wrong(EACH_EFFECT, K::spoken(&reading.body), format!("{next:?}")),
            None if self.reading_unknown > 0 => wrong(
                EACH_EFFECT,
                format!("{} messages that wait", self.reading_unknown),
                format!("{next:?}"),
            ),
            None => Ok(()),
        }
    }

    pub(super) fn sent(
        &mut self,
        to: NodeId,
        body: &[u8],
        carried: Carried,
        act: &Act<K::Timer>,
    ) -> Result<(), Wrong> {
        let is_next = |owed: &mut Owed<K::Timer>| matches!(owed, Owed::Send { to: next, body: expected, .. } if *next == to && expected == body);
        if carried.count == 0 && self.owed.pop_front_if(is_next).is_some() {
            return Ok(());
        }
        let next = self.next_for(to);
        let filled =
            next.filter(|place| self.reading.get(*place).is_some_and(|next| K::is_filled(next, body)));
        if let Some(reading) = filled.and_then(|place| self.reading.remove(place)) {
            if reading.is_void {
                return wrong(GENERATION, "nothing that was read before the log was cut", shown::<K>(act));
            }
            return Ok(());
        }
        if self.reading_unknown > 0 {
            self.reading_unknown -= 1;
            return Ok(());
        }
        let next = next.and_then(|place| self.reading.get(place));
        match (self.owed.front(), next) {
            (Some(owed), _) => wrong(EACH_EFFECT, shown_owed::<K>(owed), shown::<K>(act)),
            (None, Some(reading)) => wrong(EACH_ACT, K::spoken(&reading.body), shown::<K>(act)),
            (None, None) => wrong(EACH_ACT, "no message", shown::<K>(act)),
        }
    }

    /// Which of those that are not known to wait for their records it was does not matter: so many come to an end.
    pub(super) fn not_sent(&mut self, to: NodeId, act: &Act<K::Timer>) -> Result<(), Wrong> {
        if self.next_for(to).and_then(|place| self.reading.remove(place)).is_some() {
            return Ok(());
        }
        if self.reading_unknown > 0 {
            self.reading_unknown -= 1;
            return Ok(());
        }
        wrong(EACH_ACT, "no message to that node that waits for its records", shown::<K>(act))
    }

    /// The oldest message to a node that waits for its records: those to other nodes may overtake it.
    fn next_for(&self, to: NodeId) -> Option<usize> {
        self.reading.iter().position(|reading| reading.to == to)
    }
}
