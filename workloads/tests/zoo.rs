//! Every kind of the zoo, held without any checkpoint: what is held is found kept, and what is broken on purpose is found
//! lost. Each cell is a process of its own, as in a container.

use podferry_workloads::zoo::KINDS;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};

struct Cell {
    child: Child,
    answers: BufReader<ChildStdout>,
    home: PathBuf,
}

impl Cell {
    /// A cell, and the first thing that it says.
    fn of(kind: &str) -> (Cell, String) {
        let home = std::env::temp_dir().join(format!("podferry-zoo-{}-{kind}", std::process::id()));
        fs::create_dir_all(home.join("image-folder")).unwrap();
        fs::write(home.join("of-image"), "of the image\n").unwrap();
        fs::write(home.join("of-image-too"), "x").unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_zoo"))
            .args(["--cell", kind])
            .env("ZOO_HOME", &home)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let answers = BufReader::new(child.stdout.take().unwrap());
        let mut cell = Cell { child, answers, home };
        let first = cell.line();
        (cell, first)
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.answers.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    fn look(&mut self) -> String {
        self.child.stdin.as_mut().unwrap().write_all(b"look\n").unwrap();
        self.line()
    }
}

impl Drop for Cell {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.home);
    }
}

#[test]
fn what_is_held_is_found_kept_each_time() {
    let mut absent = Vec::new();
    for kind in KINDS {
        let name = kind.label.name;
        let (mut cell, first) = Cell::of(name);
        match first.split(' ').next().unwrap() {
            "held" => {
                for _ in 0..3 {
                    let answer = cell.look();
                    assert!(answer.starts_with("kept "), "{name}: {answer}");
                }
            }
            "absent" => absent.push(format!("{name}: {first}")),
            _ => panic!("{name}: `{first}`"),
        }
    }
    // A machine may lack a few; most are there on any.
    assert!(absent.len() < 12, "{absent:#?}");
}
