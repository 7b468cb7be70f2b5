//! Connections of clients.

use super::super::action::Action;
use super::super::explain;
use super::super::flow::Flow;
use super::super::judge::ConnectionOf;
use super::super::plan::{Address, ClientKind};
use super::super::read::error;
use crate::record::{ConnectionExpectation as State, ErrorClass, TcpChoice};

impl Flow<'_, '_> {
    pub(super) fn connection(&mut self, c: &ConnectionOf) {
        let Some(client) = self.clients.get(c.client.text()).copied() else {
            self.unknown("client", &c.client, self.clients.keys().map(|k| (*k).to_owned()).collect());
            return;
        };
        if client.kind.fixed() == Some(&ClientKind::LogFollower) {
            let why = format!("the client `{}` follows a log and has no connection", c.client.text());
            self.impossible(c.client.place, why, "name a client that talks to the workload");
        } else if !self.is_started(c.client.text()) {
            let why = format!("the client `{}` is never started", c.client.text());
            self.impossible(c.client.place, why, "start it");
        }
        let Some(&(_, step)) = self.steps.get(c.step.text()) else {
            let known = self.document.spec.all_steps().filter_map(|s| s.around.id.as_ref());
            self.unknown("step", &c.step, known.map(|n| n.text().to_owned()).collect());
            return;
        };
        let Some(state) = c.state.fixed() else { return };
        match (state, &step.action) {
            (State::Refused, _) if !step.expects(ErrorClass::ConnectedTcp) => {
                let why = format!("the step `{}` does not expect `connected-tcp`", c.step.text());
                self.impossible(c.step.place, why, "add `expect: {error: {class: connected-tcp}}` to the step");
            }
            (State::Kept | State::Closed, Action::Migrate(m))
                if m.address.as_ref().is_none_or(|a| a.fixed() == Some(&Address::New)) =>
            {
                let why = "the client is sent to the copy's own address, which ends its connection";
                self.impossible(c.step.place, why, "give the step `address: moved`");
            }
            (State::Kept, Action::Migrate(_)) if self.tcp() != Some(TcpChoice::Keep) => {
                let why = "CRIU is not told to keep connections";
                self.impossible(c.state.place, why, "add `criu: {tcp: keep}` to `spec`");
            }
            (State::Kept | State::Closed, Action::Migrate(_)) | (State::Refused, _) => {}
            _ => {
                let why = format!("the step `{}` is no migration", c.step.text());
                self.impossible(c.step.place, why, "name a step that migrates");
            }
        }
        if let (Some(slack), State::Closed | State::Refused) = (&c.slack, state) {
            self.impossible(slack.place, "only a connection that is `kept` has a stall", "leave it out");
        }
    }

    /// What CRIU is told of connections; `None`: it depends on the cell.
    fn tcp(&self) -> Option<TcpChoice> {
        match self.document.spec.criu.as_ref().and_then(|c| c.tcp.as_ref()) {
            None => Some(TcpChoice::default()),
            Some(tcp) => tcp.fixed().copied().or(Some(TcpChoice::Keep)),
        }
    }

    pub(super) fn moves_address(&self) -> bool {
        let moves = |a: &super::super::field::Field<Address>| a.fixed() != Some(&Address::New);
        self.document.spec.all_steps().any(|s| match &s.action {
            Action::Migrate(m) => m.address.as_ref().is_some_and(moves),
            _ => false,
        })
    }

    /// An address that moves leaves a source without network: it must not go on.
    pub(in crate::scenario) fn fenced_address(&mut self, m: &super::super::action::Migrate) {
        let Some(address) = m.address.as_ref().filter(|a| a.fixed() != Some(&Address::New)) else { return };
        let fenced = m.source.as_ref().is_none_or(|s| s.fixed() == Some(&crate::record::SourceFate::Fenced));
        if !fenced && address.fixed().is_some() {
            let why = "the source of an address that moves would acknowledge what no image holds";
            let finding = error(explain::CANNOT_PASS, why).label("goes on without its address");
            let place = m.source.as_ref().map_or(address.place, |s| s.place);
            self.r.tell(place, finding.help("leave `source` out: it is `fenced` then"));
        }
    }
}
