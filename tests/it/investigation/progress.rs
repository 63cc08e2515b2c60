//! How far a verification has come: it is shown on a terminal, and nowhere else.

use std::{fs, time::Duration};

use keygate::{audit::note, clock::Clock};
use secrecy::ExposeSecret as _;
use serde_json::Value as Json;

use super::{Folder, record};
use crate::support::{
    program::{PROGRAM, told},
    python,
};

/// So many are added at once.
const MORE: usize = 50_000;

/// Progress is shown after a tenth of a second, and is to be seen more than once.
const A_WHILE: Duration = Duration::from_secs(1);

/// SIGINT.
const INTERRUPTED: i64 = -2;

/// A trail that it takes a while to verify.
struct Long {
    folder: Folder,
    /// Its public key, as `keygate audit verify` takes it.
    key: String,
    records: usize,
}

impl Long {
    async fn new() -> Self {
        let folder = Folder::new();
        let key = note::generate().unwrap();
        fs::write(folder.path("signing.pem"), key.expose_secret()).unwrap();
        let print = ["audit", "key", "--signing-key", "signing.pem"];
        let key = told(&folder.keygate(&print).output().unwrap()).0;
        let mut long = Self {
            folder,
            key: key.trim().to_owned(),
            records: 0,
        };
        let clock = Clock::system();
        loop {
            long.grow().await;
            let begun = clock.instant();
            long.verified();
            if clock.instant() - begun > A_WHILE {
                return long;
            }
        }
    }

    async fn grow(&mut self) {
        let trail = self.folder.open();
        let entry = |at: usize| record(&trail, &at.to_string()).into();
        for first in (0..MORE).step_by(500) {
            let entries = (first..first + 500).map(entry);
            trail.append_all(entries.collect()).await.unwrap();
        }
        trail.close().await.unwrap();
        self.records += MORE;
    }

    /// What verifying it prints where there is no terminal.
    fn verified(&self) -> String {
        let output = self.folder.audit(&["verify", "--key", &self.key]);
        let (result, errors) = told(&output);
        assert_eq!(output.status.code(), Some(0), "{errors}");
        assert_eq!(errors, "");
        assert!(result.contains(&self.records.to_string()), "{result}");
        result
    }

    /// Verifies it on a terminal; `options` are the terminal's.
    fn on_a_terminal(&self, options: &[&str]) -> Json {
        let output = python::script("terminal.py")
            .args(options)
            .arg(PROGRAM)
            .args(["audit", "verify", "--key", &self.key])
            .args(["--store", &self.folder.store()])
            .current_dir(self.folder.0.path())
            .output()
            .unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{errors}");
        let told: Json = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(told["same_modes"], true, "{told}");
        told
    }

    /// The progress that was shown, as numbers of records.
    fn progress(&self, told: &Json) -> Vec<usize> {
        let steps = shown(told).split('\r').filter(|it| it.contains('%'));
        let steps = steps.map(|it| {
            let (percent, rest) = it.split_once(" %  ").unwrap();
            let (done, of) = rest.split_once(" of ").unwrap();
            assert!(
                of.starts_with(&format!("{} records", self.records)),
                "{it:?}"
            );
            let done: usize = done.parse().unwrap();
            let percent: usize = percent.trim().parse().unwrap();
            assert_eq!(percent, done * 100 / self.records, "{it:?}");
            done
        });
        let steps: Vec<_> = steps.collect();
        assert!(steps.is_sorted_by(|a, b| a < b), "{steps:?}");
        steps
    }
}

fn shown(told: &Json) -> &str {
    told["shown"].as_str().unwrap()
}

/// What a terminal's screen holds in the end, line by line.
fn screen(shown: &str) -> Vec<String> {
    let (mut lines, mut column) = (vec![Vec::new()], 0);
    let mut characters = shown.chars();
    while let Some(it) = characters.next() {
        let line: &mut Vec<char> = lines.last_mut().unwrap();
        match it {
            '\r' => column = 0,
            '\n' => lines.push(Vec::new()),
            '\x1b' => {
                // nothing else is needed: no cursor is hidden, no colour left behind
                let rest: String = characters.by_ref().take(2).collect();
                assert_eq!(rest, "[K", "{shown:?}");
                line.truncate(column);
            }
            it => {
                line.resize(line.len().max(column + 1), ' ');
                line[column] = it;
                column += 1;
            }
        }
    }
    lines.iter().map(|it| it.iter().collect()).collect()
}

#[tokio::test]
async fn a_terminal_shows_how_far_a_verification_has_come_and_is_left_clean() {
    let long = Long::new().await;
    let result = long.verified();
    let lines: Vec<_> = result.split('\n').collect();

    let all = long.on_a_terminal(&[]);
    assert_eq!(all["code"], 0, "{all}");
    assert!(!long.progress(&all).is_empty(), "{all}");
    assert_eq!(screen(shown(&all)), lines, "{all}");

    // the result goes elsewhere, and the progress is still seen
    let file = long.folder.path("file");
    let alone = long.on_a_terminal(&["--stdout", file.to_str().unwrap()]);
    assert!(!long.progress(&alone).is_empty(), "{alone}");
    assert_eq!(screen(shown(&alone)), [""], "{alone}");
    assert_eq!(fs::read_to_string(&file).unwrap(), result);

    // who keeps the messages does not want it among them
    let kept = long.on_a_terminal(&["--stderr", file.to_str().unwrap()]);
    assert_eq!(screen(shown(&kept)), lines, "{kept}");
    assert_eq!(long.progress(&kept), [0; 0]);
    assert_eq!(fs::read_to_string(&file).unwrap(), "");

    // Ctrl-C ends it at once
    let ended = long.on_a_terminal(&["--interrupt-at", "%"]);
    assert_eq!(ended["code"], INTERRUPTED, "{ended}");
    assert!(long.progress(&ended).last() < Some(&long.records));
    // one line, behind which a shell goes on
    let screen = screen(shown(&ended));
    assert_eq!(screen.len(), 1, "{ended}");
    assert!(screen[0].ends_with("^C"), "{ended}");
}
