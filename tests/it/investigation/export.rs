//! `keygate audit export`: every record reaches the other side, whatever happens.

use std::{
    collections::BTreeSet,
    fs,
    io::{BufRead as _, BufReader},
    path::PathBuf,
    process::{Child, Stdio},
};

use keygate::{
    audit::{Record, Stored, tree::Hash},
    tasks::Tasks,
};
use tokio_util::sync::CancellationToken;

use super::{Folder, record};
use crate::support::{
    program::{keygate, signal, told},
    serve::until,
};

/// Writes so many records.
async fn fill(folder: &Folder, from: usize, count: usize) {
    let trail = folder.open();
    for at in (from..from + count).step_by(500) {
        let piece = at..(at + 500).min(from + count);
        let entries = piece.map(|it| record(&trail, &it.to_string()).into());
        trail.append_all(entries.collect()).await.unwrap();
    }
    trail.close().await.unwrap();
}

/// What a file of JSON lines has, and nothing that is no whole line.
fn lines(path: &PathBuf) -> Vec<String> {
    let text = fs::read_to_string(path).unwrap_or_default();
    assert!(
        text.is_empty() || text.ends_with('\n'),
        "a line is not whole"
    );
    text.lines().map(str::to_owned).collect()
}

fn bodies(stored: &[Stored]) -> Vec<String> {
    let bodies = stored
        .iter()
        .map(|it| String::from_utf8(it.body.clone()).unwrap());
    bodies.collect()
}

#[tokio::test]
async fn lines_are_the_bytes_that_the_tree_is_made_of() {
    let folder = Folder::new();
    fill(&folder, 0, 3000).await;
    let output = folder.audit(&["export"]);
    let (said, errors) = told(&output);
    assert!(output.status.success() && errors.is_empty(), "{errors}");
    let stored = folder.all();
    assert_eq!(said.lines().collect::<Vec<_>>(), bodies(&stored));
    for (line, stored) in said.lines().zip(&stored) {
        assert_eq!(Hash::leaf(line.as_bytes()), stored.leaf);
    }
    // filters are those of the list
    let output = folder.audit(&["export", "--call", "77", "--format", "jsonl"]);
    assert_eq!(told(&output).0.lines().count(), 1);
}

#[tokio::test]
async fn it_goes_on_where_the_cursor_says() {
    let folder = Folder::new();
    let (cursor, out) = (folder.path("cursor"), folder.path("out.jsonl"));
    let args = [
        "export",
        "--cursor",
        cursor.to_str().unwrap(),
        "--output",
        out.to_str().unwrap(),
    ];
    for count in [700, 0, 2500, 3] {
        let from = lines(&out).len();
        fill(&folder, from, count).await;
        let output = folder.audit(&args);
        assert!(output.status.success(), "{}", told(&output).1);
        assert_eq!(lines(&out), bodies(&folder.all()));
    }
    // the cursor of a trail is none of another, and a trail that was cut is noticed
    let other = Folder::new();
    fill(&other, 0, 100).await;
    let wrong = other.audit(&args);
    assert_eq!(wrong.status.code(), Some(65));
    assert!(told(&wrong).1.contains("it was cut"), "{}", told(&wrong).1);
    fill(&other, 100, 5000).await;
    let wrong = other.audit(&args);
    assert_eq!(wrong.status.code(), Some(65));
    assert!(
        told(&wrong).1.contains("another trail"),
        "{}",
        told(&wrong).1
    );
    fs::write(&cursor, "nonsense").unwrap();
    assert_eq!(folder.audit(&args).status.code(), Some(65));
    assert_eq!(lines(&out), bodies(&folder.all()), "nothing was written");
}

#[tokio::test]
async fn a_reader_that_goes_leaves_the_cursor_where_it_was() {
    let folder = Folder::new();
    fill(&folder, 0, 6000).await;
    let cursor = folder.path("cursor");
    let store = folder.store();
    let go_away = |with_cursor: bool| {
        let mut command = keygate(["audit", "export", "--store", &store]);
        if with_cursor {
            command.args(["--cursor", cursor.to_str().unwrap()]);
        }
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut first = String::new();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        out.read_line(&mut first).unwrap();
        drop(out);
        child.wait_with_output().unwrap()
    };
    let gone = go_away(true);
    assert_eq!(gone.status.code(), Some(74));
    assert!(
        told(&gone).1.contains("the cursor stays"),
        "{}",
        told(&gone).1
    );
    let rest = folder.audit(&["export", "--cursor", cursor.to_str().unwrap()]);
    let calls = super::calls(&rest);
    // what was taken may come again; what was not has to
    assert_eq!(calls.last().unwrap(), "5999");
    let first: usize = calls[0].parse().unwrap();
    assert_eq!(calls.len(), 6000 - first);
    // without a cursor, whoever looks at the first line has seen enough
    assert_eq!(go_away(false).status.code(), Some(0));
}

/// An export that follows the trail.
fn follow(folder: &Folder, more: &[&str]) -> Child {
    keygate(["audit", "export", "--store", &folder.store(), "--follow"])
        .args(more)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_at_any_moment_it_loses_nothing() {
    let folder = Folder::new();
    let (cursor, out) = (folder.path("cursor"), folder.path("out.jsonl"));
    let args = [
        "--cursor",
        cursor.to_str().unwrap(),
        "--output",
        out.to_str().unwrap(),
    ];
    let trail = folder.open();
    let (enough, tasks) = (CancellationToken::new(), Tasks::new());
    let writing = tasks.spawn({
        let (trail, enough) = (trail.clone(), enough.clone());
        async move {
            let mut count = 0;
            while !enough.is_cancelled() {
                let entries = (0..50).map(|it| record(&trail, &(count + it).to_string()).into());
                trail.append_all(entries.collect()).await.unwrap();
                count += 50;
            }
            count
        }
    });
    let random = keygate::random::Random::system();
    for _ in 0..25 {
        let mut child = follow(&folder, &args);
        // at a moment that nobody has chosen
        let size = || fs::metadata(&out).map_or(0, |it| it.len());
        let before = size();
        until("it writes", || (size() > before).then_some(())).await;
        let pause = 0.03 * random.fraction();
        tokio::time::sleep(std::time::Duration::from_secs_f64(pause)).await;
        child.kill().unwrap();
        child.wait().unwrap();
    }
    enough.cancel();
    let written = writing.await.unwrap();
    trail.close().await.unwrap();
    let last = folder.audit(&[&["export"], args.as_slice()].concat());
    assert!(last.status.success(), "{}", told(&last).1);
    let seen: Vec<u64> = lines(&out)
        .iter()
        .map(|it| {
            serde_json::from_str::<Record>(it)
                .unwrap()
                .call
                .parse()
                .unwrap()
        })
        .collect();
    // in order, but for what comes again after each start
    let mut next = 0;
    for it in &seen {
        assert!(*it <= next, "{next} is missing before {it}");
        next = next.max(it + 1);
    }
    assert_eq!(next, written);
    let all: BTreeSet<_> = seen.iter().collect();
    assert_eq!(all.len() as u64, written);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_follows_what_is_committed_until_it_is_told_to_end() {
    let folder = Folder::new();
    let trail = folder.open();
    let out = folder.path("out.jsonl");
    let mut child = follow(&folder, &["--output", out.to_str().unwrap()]);
    for count in 1..=3 {
        trail
            .append(record(&trail, &count.to_string()))
            .await
            .unwrap();
        until("it is exported", || {
            (lines(&out).len() == count).then_some(())
        })
        .await;
    }
    // a file that is put aside is begun anew
    fs::rename(&out, folder.path("out.1")).unwrap();
    trail.append(record(&trail, "4")).await.unwrap();
    until("it is exported", || (lines(&out).len() == 1).then_some(())).await;
    signal(child.id(), "TERM");
    let ended = until("it ends", || child.try_wait().unwrap()).await;
    assert_eq!(ended.code(), Some(0));
    trail.close().await.unwrap();
}
