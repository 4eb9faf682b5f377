//! What a driver owes to the transport: messages, and those that wait until their records are read.

use highwater_model::id::{NodeId, Offset};
use highwater_model::trace::{Act, Carried};

use super::{Book, EACH_ACT, EACH_EFFECT, GENERATION, Kind, Owed, Reading, Wrong, shown, shown_owed, wrong};

impl<K: Kind> Book<K> {
    pub(super) fn read(
        &mut self,
        to: NodeId,
        range: (Offset, Offset),
        act: &Act<K::Timer>,
    ) -> Result<(), Wrong> {
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
        let is_it = |reading: &Reading| reading.to == to && K::is_filled(reading, body);
        let at = self.reading.iter().position(is_it).filter(|at| !K::READS_IN_ORDER || *at == 0);
        if let Some(reading) = at.and_then(|at| self.reading.remove(at)) {
            if reading.is_void && K::READS_IN_ORDER {
                return wrong(GENERATION, "nothing that was read before the log was cut", shown::<K>(act));
            }
            return Ok(());
        }
        if self.reading_unknown > 0 {
            self.reading_unknown -= 1;
            return Ok(());
        }
        match (self.owed.front(), self.reading.front()) {
            (Some(owed), _) => wrong(EACH_EFFECT, shown_owed::<K>(owed), shown::<K>(act)),
            (None, Some(reading)) => wrong(EACH_ACT, K::spoken(&reading.body), shown::<K>(act)),
            (None, None) => wrong(EACH_ACT, "no message", shown::<K>(act)),
        }
    }

    pub(super) fn not_sent(&mut self, act: &Act<K::Timer>) -> Result<(), Wrong> {
        if self.reading_unknown > 0 {
            self.reading_unknown -= 1;
            return Ok(());
        }
        if K::READS_IN_ORDER && self.reading.pop_front().is_none() {
            return wrong(EACH_ACT, "no message that waits for its records", shown::<K>(act));
        }
        Ok(())
    }
}
