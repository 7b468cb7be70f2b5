//! What a client has met at an endpoint while it had no answer of it, for whoever waits in vain.

use super::{Answer, Kind};
use std::fmt;
use std::io;

/// What stands between a client and its first answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Met {
    /// It got through to the server, or to the log.
    pub(super) connected: bool,
    /// Why the last try to get there failed.
    pub(super) refused: Option<io::ErrorKind>,
    /// What came and has no end of line yet, quoted.
    pub(super) unfinished: Option<String>,
    /// The first that came and is nothing that the client takes.
    pub(super) odd: Option<Odd>,
}

/// Something that a client does not take for an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Odd {
    /// What was asked, quoted; `None`: nothing, it came by itself.
    pub(super) asked: Option<String>,
    /// What came, quoted.
    pub(super) said: String,
}

/// What a client had seen when a wait on it ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    text: String,
    hint: Option<String>,
}

impl Seen {
    /// By the answers in all, the last of them, and what the endpoint gave that is waited on, with the number of its own.
    pub(super) fn of(kind: Kind, (all, last): (u64, Option<Answer>), (own, met): (u64, &Met)) -> Seen {
        let odd = met.odd.as_ref().map(|odd| odd.sentence(kind));
        let never = last.is_none();
        let hint = match kind {
            Kind::LogFollower if never && !met.connected => None,
            _ if never && !met.connected => {
                Some("let it listen on all addresses (0.0.0.0), at the `port` that its workload says".to_owned())
            }
            // It may be silent since it knows not what it is asked.
            _ if never || odd.is_some() => Some(format!("a {} {}", kind.name(), kind.protocol())),
            _ => None,
        };
        let text = match (last, own) {
            (Some(a), 1..) => {
                let odd = odd.map(|odd| format!("; besides, {odd}")).unwrap_or_default();
                format!("{} came, the last with value {}{odd}", answers(all), a.value)
            }
            (Some(_), _) => format!("{}; before, it had had {} elsewhere", met.sentence(kind, odd), answers(all)),
            (None, _) => met.sentence(kind, odd),
        };
        Seen { text, hint }
    }

    /// What can be done about it.
    pub fn hint(&self) -> Option<&str> {
        self.hint.as_deref()
    }
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Met {
    fn sentence(&self, kind: Kind, odd: Option<String>) -> String {
        let log = kind == Kind::LogFollower;
        match (odd, &self.unfinished, self.connected, self.refused) {
            (Some(odd), ..) => odd,
            (None, Some(said), ..) => format!("what came has no end of line: {said}"),
            (None, None, true, _) if log => "the log is there, and no line came".to_owned(),
            (None, None, false, _) if log => "the log is not there".to_owned(),
            (None, None, true, _) => "it was connected, and no answer came".to_owned(),
            (None, None, false, Some(why)) => format!("it was never connected: {why}"),
            (None, None, false, None) => "it was never connected".to_owned(),
        }
    }
}

impl Odd {
    fn sentence(&self, kind: Kind) -> String {
        match (&self.asked, kind) {
            (_, Kind::LogFollower) => format!("lines came that do not end in a number, the first was {}", self.said),
            (Some(asked), _) => {
                format!("answers came that a {} does not take, the first was {} to {asked}", kind.name(), self.said)
            }
            (None, _) => format!("what was not asked for came, at first {}", self.said),
        }
    }
}

fn answers(n: u64) -> String {
    if n == 1 { "1 answer".to_owned() } else { format!("{n} answers") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::At;

    #[test]
    fn never_connected_silent_and_odd_are_told_apart() {
        let said = |kind, met: Met| Seen::of(kind, (0, None), (0, &met)).to_string();
        let met = Met::default;
        let refused = Some(io::ErrorKind::ConnectionRefused);
        let odd =
            |asked: Option<&str>| Some(Odd { asked: asked.map(str::to_owned), said: "`HTTP/1.1 400`".to_owned() });
        assert_eq!(said(Kind::TcpEcho, Met { refused, ..met() }), "it was never connected: connection refused");
        assert_eq!(
            said(Kind::TcpEcho, Met { connected: true, refused, ..met() }),
            "it was connected, and no answer came"
        );
        assert_eq!(
            said(Kind::TcpEcho, Met { connected: true, odd: odd(Some("`ECHO 0`")), ..met() }),
            "answers came that a tcp-echo does not take, the first was `HTTP/1.1 400` to `ECHO 0`"
        );
        assert_eq!(
            said(Kind::CounterReader, Met { connected: true, unfinished: Some("`41`".to_owned()), ..met() }),
            "what came has no end of line: `41`"
        );
        assert_eq!(said(Kind::LogFollower, met()), "the log is not there");
        assert_eq!(said(Kind::LogFollower, Met { connected: true, ..met() }), "the log is there, and no line came");
        assert_eq!(
            said(Kind::LogFollower, Met { connected: true, odd: odd(None), ..met() }),
            "lines came that do not end in a number, the first was `HTTP/1.1 400`"
        );
    }

    #[test]
    fn what_was_answered_before_is_said_beside_it() {
        let last = Some(Answer { at: At(1), key: 6, value: 41 });
        let odd = Some(Odd { asked: Some("`GET`".to_owned()), said: "`-1`".to_owned() });
        let met = Met { connected: true, odd, ..Met::default() };
        assert_eq!(
            Seen::of(Kind::CounterReader, (7, last), (7, &Met::default())).to_string(),
            "7 answers came, the last with value 41"
        );
        let seen = Seen::of(Kind::CounterReader, (7, last), (7, &met));
        assert_eq!(
            seen.to_string(),
            "7 answers came, the last with value 41; besides, answers came that a counter-reader does not take, the first was `-1` to `GET`"
        );
        assert_eq!(
            seen.hint(),
            Some("a counter-reader sends the line `GET` and takes a line that is a number and nothing else")
        );
        let silent = Met { connected: true, ..Met::default() };
        let seen = Seen::of(Kind::CounterReader, (7, last), (0, &silent));
        assert_eq!(seen.to_string(), "it was connected, and no answer came; before, it had had 7 answers elsewhere");
        assert_eq!(seen.hint(), None);
    }
}
