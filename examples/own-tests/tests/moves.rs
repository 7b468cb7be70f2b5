//! The worked example: containers are moved, and what must be true of them is checked.

use podferry::testbed::{
    ClientKind, Damage, EngineKind, ErrorClass, InstanceExpectation, Metric, Setup, SourceFate, Strategy, TestResult,
    Workload, bed, below, never_at_once,
};
use rstest::rstest;
use std::time::Duration;

/// A node is drained: redis moves under load, and no write that it acknowledged is lost.
#[rstest]
fn redis_keeps_what_it_acknowledged(
    bed: Setup,
    #[values(EngineKind::Cri, EngineKind::Runc)] engine: EngineKind,
) -> TestResult {
    bed.engine(engine).test(async |bed| {
        let redis = bed.deploy(Workload::new("redis").with("data", "4Mi")).on("a").await?;
        let writer = redis.client(ClientKind::RedisWriter).op_timeout(Duration::from_secs(1)).await?;
        writer.answers(200).await?;
        let before = redis.capture().await?;

        let moved = redis.migrate("b").await?;
        writer.answers(200).await?;

        bed.check_all([
            writer.lost_nothing(),
            moved.is_process_of(&before),
            never_at_once([&redis, &moved]),
            redis.is(InstanceExpectation::Absent),
            below(Metric::Downtime, Duration::from_secs(10)),
        ])
        .await?;
        Ok(())
    })
}

/// A counter goes on where it was, whichever way its state goes. An engine that lacks a way skips the test, and says why.
#[rstest]
fn a_counter_goes_on(
    bed: Setup,
    #[values(Strategy::StopCopy, Strategy::Stream, Strategy::PostCopy)] strategy: Strategy,
) -> TestResult {
    bed.engine(EngineKind::Runc).test(async |bed| {
        let counter = bed.deploy(Workload::new("counter").with("interval", "10ms")).await?;
        counter.counts(5).await?;
        let before = counter.capture().await?;
        let moved = counter.migrate("b").strategy(strategy).await?;
        bed.check_all([moved.goes_on_from(&before), moved.progressed_since(&before)]).await?;
        Ok(())
    })
}

/// What the stack says of a checkpoint that is cut is part of what is tested: the error is expected, and its text is at hand.
#[rstest]
fn a_cut_checkpoint_is_refused(bed: Setup) -> TestResult {
    bed.engine(EngineKind::Runc).test(async |bed| {
        let counter = bed.deploy("counter").await?;
        let whole = counter.checkpoint(SourceFate::Running).await?;
        let cut = whole.tamper(Damage::Truncate { keep: 100 }).await?;
        let refused = cut.restore("a").fails(ErrorClass::InvalidArchive).await?;
        assert!(refused.message.contains("pages"), "{}", refused.message);
        bed.check(counter.is(InstanceExpectation::Running)).await?;
        Ok(())
    })
}

/// In a runtime of one's own, and several beds side by side: they don't meet.
#[tokio::test]
async fn two_beds_at_once() -> TestResult {
    let setup = |name: &str| podferry::testbed::TestBed::setup().engine(EngineKind::Runc).name(name);
    let (left, right) = tokio::join!(setup("left").start(), setup("right").start());
    let (left, right) = match (left, right) {
        (Err(e), _) | (_, Err(e)) if e.skipped().is_some() => return Ok(()),
        (left, right) => (left?, right?),
    };
    let (one, other) = tokio::join!(left.deploy("counter"), right.deploy("counter"));
    let (one, other) = (one?, other?);
    let (seen, other_seen) = tokio::join!(one.capture(), other.capture());
    let nonce = |seen: podferry::testbed::Capture| seen.inside.and_then(|inside| inside.nonce);
    assert_ne!(nonce(seen?), nonce(other_seen?), "each bed has a counter of its own");
    let (left, right) = tokio::join!(left.finish(), right.finish());
    assert_ne!(left?.dir, right?.dir);
    Ok(())
}
