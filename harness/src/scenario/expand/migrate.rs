use super::super::action::Migrate as Written;
use super::super::plan::{Address, Medium, Migrate, Over};
use super::{Cellular, Resolved};
use crate::record::{SourceFate, Strategy, Trick};
use std::collections::BTreeSet;

impl Cellular<'_> {
    pub(super) fn migrate(&self, m: &Written) -> Resolved<Migrate> {
        let strategy = self.given(&m.strategy)?;
        Ok(Migrate {
            instance: m.of.text().to_owned(),
            to: m.to.text().to_owned(),
            into: m.new_name(),
            strategy,
            source: self.or(&m.source, strategy.map_or(SourceFate::Fenced, Strategy::source))?,
            medium: self.or(&m.medium, Medium::Native)?,
            given: self.allotted(&m.memory, m.volumes.as_ref())?,
            over: self.or(&m.over, Over::File)?,
            address: self.or(&m.address, Address::New)?,
        })
    }

    /// The tricks that are left out.
    pub(super) fn without(&self) -> Resolved<BTreeSet<Trick>> {
        let mut without = BTreeSet::new();
        for (trick, field) in self.document().spec.tricks.iter().flat_map(|t| t.written()) {
            if !self.get(field)? {
                without.insert(trick);
            }
        }
        Ok(without)
    }
}
