//! Whether the workers of a cluster are alike, and have what they are there for: looked at before anything runs on them.

use crate::node::{Guest, Node};
use crate::process::Exec;
use crate::record::{Chain, Failure};

/// What is asked of each worker by a shell. All must answer alike.
const QUESTIONS: [(&str, &str); 5] = [
    ("containerd", "containerd --version"),
    ("runc", "runc --version"),
    ("CRIU", "criu --version"),
    ("containerd's configuration", "containerd config dump"),
    ("the kubelet's configuration", "cat /var/lib/kubelet/config.yaml"),
];

/// Asks all workers, and compares what they answer. `kubelet`: its program, as a shell finds it.
pub(super) async fn look(workers: &[&Guest], kubelet: &str) -> Result<(), Failure> {
    let kubelet = ("the kubelet", format!("{kubelet} --version"));
    let questions = QUESTIONS.iter().map(|(what, question)| (*what, (*question).to_owned())).chain([kubelet]);
    for (what, question) in questions {
        let mut first: Option<(&str, String)> = None;
        for worker in workers {
            let said = worker.run(Exec::new("sh").args(["-c", &question])).await;
            let said = said.map_err(|e| Failure::surroundings(format!("{what}: {}", Chain(&e))))?.text();
            match &first {
                None => first = Some((worker.name(), said)),
                Some((other, there)) => {
                    if let Some(difference) = difference(there, &said) {
                        let (name, [was, is]) = (worker.name(), difference);
                        let message = format!("nodes {other} and {name} differ in {what}: `{was}` and `{is}`");
                        return Err(Failure::surroundings(message));
                    }
                }
            }
        }
    }
    Ok(())
}

/// The first line that two texts don't share, in both.
fn difference(one: &str, other: &str) -> Option<[String; 2]> {
    let (mut ones, mut others) = (one.lines(), other.lines());
    loop {
        match (ones.next(), others.next()) {
            (None, None) => return None,
            (a, b) if a != b => return Some([a, b].map(|line| line.unwrap_or("nothing more").trim().to_owned())),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::difference;

    #[test]
    fn the_first_difference_is_told() {
        assert_eq!(difference("a\nb\n", "a\nb\n"), None);
        assert_eq!(difference("a\n  b = 1\n", "a\n  b = 2\nc"), Some(["b = 1".to_owned(), "b = 2".to_owned()]));
        assert_eq!(difference("a", "a\nb"), Some(["nothing more".to_owned(), "b".to_owned()]));
    }
}
