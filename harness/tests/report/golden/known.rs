use super::events::{Script, StepEnd, origin};
use podferry::record::{
    EngineKind, ErrorClass, Event, Failure, KnownIssue, KnownPart, KnownRecord, KnownState, Line, Outcome, StepRecord,
};

const CASES: [(&str, &str); 5] = [
    ("lost-volumes[engine=cri]", "what is on a volume is carried"),
    ("lost-locks[engine=cri]", "locks are carried"),
    ("lost-timers[engine=cri]", "timers are carried"),
    ("lost-words[engine=cri]", "words are carried"),
    ("thawed-again[engine=cri]", "what was frozen is thawed again"),
];

pub(super) fn lines() -> Vec<Line> {
    let mut s = Script::new("20261122-180000-0001");
    s.begin();
    for (id, title) in CASES {
        s.plan(id, title, EngineKind::Cri, &[], 5);
    }
    s.start(CASES[0].0, 1_000.0);
    s.step(0, "move", "migrate redis to b, source fenced", 410.0, StepEnd::Failed(refused()));
    ended(&mut s, KnownState::Shown, true, Outcome::Known, Some(&refused().message));
    s.start(CASES[1].0, 2_000.0);
    s.step(0, "move", "migrate redis to b, source fenced", 410.0, StepEnd::Fine);
    let reason = "the case passed, and https://issues.example/7 says that it fails";
    ended(&mut s, KnownState::Gone, true, Outcome::Failed, Some(reason));
    s.start(CASES[2].0, 3_000.0);
    s.step(0, "move", "migrate redis to b, source fenced", 410.0, StepEnd::Failed(refused()));
    ended(&mut s, KnownState::Expired, true, Outcome::Failed, Some(&refused().message));
    s.start(CASES[3].0, 4_000.0);
    s.step(0, "move", "migrate redis to b, source fenced", 410.0, StepEnd::Fine);
    ended(&mut s, KnownState::Absent, false, Outcome::Passed, None);
    s.start(CASES[4].0, 5_000.0);
    s.used_at = Some(origin("thawed-again", 27, 14));
    s.step(0, "move", "migrate redis to b, source fenced", 410.0, StepEnd::Failed(refused()));
    s.used_at = None;
    s.finally = true;
    let thaw = Failure::new(ErrorClass::UnknownContainer, "no container redis on a");
    s.step(1, "finally-1", "thaw redis", 3.0, StepEnd::Failed(thaw));
    s.say(Event::StepFinished(StepRecord {
        id: "finally-2".to_owned(),
        title: "remove redis-moved".to_owned(),
        origin: origin("thawed-again", 30, 7),
        from: super::at(s.now),
        to: super::at(s.now),
        error_expected: false,
        failure: None,
        finally: true,
        used_at: None,
        passed_over: Some("there is no instance `redis-moved`".to_owned()),
    }));
    s.finish(Outcome::Failed, Some(&refused().message));
    s.end(10);
    s.lines
}

fn refused() -> Failure {
    Failure::new(ErrorClass::RestoreFailed, "restoring redis-moved on b: no such file or directory")
}

fn ended(s: &mut Script, state: KnownState, strict: bool, outcome: Outcome, reason: Option<&str>) {
    let issue = KnownIssue {
        link: "https://issues.example/7".to_owned(),
        reason: "what is mounted is not carried".to_owned(),
        expires: "2026-11-30".to_owned(),
        strict,
        text: None,
        of: KnownPart::Case,
        origin: origin(s.scenario(), 12, 13),
    };
    s.say(Event::Known(KnownRecord { issue, state }));
    s.finish(outcome, reason);
}
