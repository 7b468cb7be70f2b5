//! Clients, and what is waited for.

use super::super::action::{ClientStep, Step, Wait};
use super::super::document::Client;
use super::super::explain;
use super::super::read::error;
use super::super::value::Name;
use super::{Flow, Life, Use};

impl<'a> Flow<'a, '_> {
    pub(super) fn client(&mut self, c: &ClientStep, step: &Step) {
        match (&c.start, &c.stop) {
            (Some(name), None) => self.start(name),
            (None, Some(name)) => self.stop(name),
            _ if step.spoiled => {}
            _ => {
                let finding = error(explain::NO_ACTION, "a client step has one of `start` and `stop`");
                self.r.tell(step.place, finding.help("write `client: {start: NAME}` or `client: {stop: NAME}`"));
                for name in c.start.iter().chain(&c.stop) {
                    self.started.entry(name.text().to_owned()).or_insert(Use::Running);
                }
            }
        }
    }

    fn known_client(&mut self, name: &Name) -> Option<&'a Client> {
        let client = self.clients.get(name.text()).copied();
        if client.is_none() {
            self.unknown("client", name, self.clients.keys().map(|k| (*k).to_owned()).collect());
        }
        client
    }

    fn start(&mut self, name: &Name) {
        let Some(client) = self.known_client(name) else { return };
        if self.started.insert(name.text().to_owned(), Use::Running).is_some() {
            let finding =
                error(explain::CLIENT_ORDER, format!("the client `{}` is started a second time", name.text()));
            self.r.tell(name.place, finding.help("declare a second client; a client has one history"));
            return;
        }
        let Some(life) = self.lives.get(client.target.text()) else {
            match self.instances_given.get(client.target.text()) {
                Some(&line) => self.early("instance", &Name { place: name.place, ..client.target.clone() }, line),
                None => self.unknown("instance", &client.target, self.instances_given.keys().cloned().collect()),
            }
            return;
        };
        if let (Some(kind), Some(talks)) = (life.kind, client.kind.fixed())
            && !kind.clients.contains(talks)
        {
            let message = format!("a `{}` cannot talk to `{}`", talks.name(), kind.name);
            let finding = error(explain::MISMATCH, message).help(match kind.clients {
                [] => "no client can".to_owned(),
                some => {
                    format!("use {}", super::super::read::quoted(&some.iter().map(|c| c.name()).collect::<Vec<_>>()))
                }
            });
            self.r.tell(client.kind.place, finding);
        }
    }

    fn stop(&mut self, name: &Name) {
        if self.known_client(name).is_none() {
            return;
        }
        let (wrong, help) = match self.started.insert(name.text().to_owned(), Use::Stopped) {
            Some(Use::Running) => return,
            Some(Use::Stopped) => ("is stopped already", "take this step away".to_owned()),
            None if self.r.lost.contains(name.text()) => return,
            None => ("was not started", format!("start it before, with `client: {{start: {}}}`", name.text())),
        };
        let finding = error(explain::CLIENT_ORDER, format!("the client `{}` {wrong}", name.text()));
        self.r.tell(name.place, finding.help(help));
    }

    pub(super) fn wait(&mut self, w: &Wait, step: &Step) {
        let given = [w.answers.is_some(), w.counter.is_some(), w.memory.is_some(), w.end.is_some(), w.time.is_some()];
        let given = given.into_iter().filter(|g| *g).count();
        if given != 1 && !step.spoiled {
            let finding = error(
                explain::BAD_WAIT,
                format!("a wait has one of `answers`, `counter`, `memory`, `end`, `time`; here are {given}"),
            );
            self.r.tell(step.place, finding.help("write `wait: {answers: {client: NAME, count: 200}}`"));
        }
        if let (Some(time), None) = (&w.time, &w.reason) {
            let finding = error(explain::BAD_WAIT, "a fixed time needs a `reason`");
            self.r.tell(time.place, finding.help("wait for `answers` or a `counter`, or add `reason: ...`"));
        }
        if let Some(answers) = &w.answers
            && self.known_client(&answers.client).is_some()
            && self.started.get(answers.client.text()) != Some(&Use::Running)
            && !self.r.lost.contains(answers.client.text())
        {
            let name = answers.client.text();
            let finding =
                error(explain::CLIENT_ORDER, format!("the client `{name}` does not run, so it gets no answers"));
            self.r
                .tell(answers.client.place, finding.help(format!("start it before, with `client: {{start: {name}}}`")));
        }
        if let Some(counter) = &w.counter
            && let Some(Life { kind: Some(kind), .. }) = self.instance(&counter.of)
            && !kind.counter
        {
            let finding = error(explain::MISMATCH, format!("`{}` tells no counter to wait for", kind.name));
            let help = self.told_by(kind, |k| k.counter, "wait for `answers` of a client");
            self.r.tell(counter.of.place, finding.help(help));
        }
        if let Some(memory) = &w.memory {
            self.instance(&memory.of);
        }
        if let Some(end) = &w.end
            && self.instance(&end.of).is_some()
            && !self.fails
        {
            self.ended(&end.of, step.place.line);
        }
    }

    /// Whether any client was started.
    pub(in crate::scenario) fn observed(&self) -> bool {
        !self.started.is_empty()
    }

    /// Whether this client was started.
    pub(in crate::scenario) fn is_started(&self, client: &str) -> bool {
        self.started.contains_key(client)
    }
}
