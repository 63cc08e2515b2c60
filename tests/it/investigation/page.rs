//! Every command on the page about the trail does what the page says.

use std::{
    env, fs,
    path::Path,
    process::{Command, Stdio},
};

use keygate::audit::tree::Hash;

use crate::support::{
    program::{PROGRAM, signal, told},
    serve::{Gateway, until},
    served::{MAIN, SANDBOX_POLICY, Served, target, text},
};

const PAGE: &str = include_str!("../../../docs/audit.md");

/// The commands, in their order.
fn commands() -> Vec<&'static str> {
    let lines = PAGE.lines().filter_map(|it| it.strip_prefix("    "));
    lines.filter(|it| it.starts_with("keygate ")).collect()
}

/// A shell's command, with the program on its path.
fn shell(command: &str, folder: &Path) -> Command {
    let program = Path::new(PROGRAM);
    let folders = env::var_os("PATH").unwrap();
    let folders = env::split_paths(&folders).map(|it| it.to_owned());
    let own = program.parent().unwrap().to_owned();
    let path = env::join_paths(std::iter::once(own).chain(folders)).unwrap();
    let mut shell = Command::new("sh");
    // the shell's own process becomes the program
    shell.args(["-c", &format!("exec {command}")]);
    shell.current_dir(folder).env("PATH", path);
    shell
}

#[tokio::test]
async fn its_commands_do_what_it_says() {
    const CREATE: &str = "keygate.datadog.v2.ApiKeyService/CreateApiKey";
    const GET: &str = "keygate.datadog.v2.ApiKeyService/GetApiKey";
    let mut served = Served::with_policy(SANDBOX_POLICY).await;
    let (client, admin) = (served.client(), served.token("admin", &["admin"]));
    let nobody = served.token("system:serviceaccount:payments:api", &[]);
    let request = client.request_at(CREATE, "", MAIN);
    let made = client.call(CREATE, Some(&admin), &request).await;
    let made = crate::support::served::resource(made);
    client.call(CREATE, Some(&nobody), &request).await;
    let key = target(&client, GET, &admin, MAIN).await;
    let request = client.request_at(GET, &key, MAIN);
    client.call(GET, Some(&admin), &request).await.ok();
    let folder = served.setup.folder.path().to_owned();
    fs::write(folder.join("leaked-key"), text(&made, "key")).unwrap();

    let mut seen = 0;
    let mut is_serving = true;
    for command in commands() {
        // these two say of themselves that no gateway may run
        let alone = command.contains("rotate-") || command.contains("audit prune");
        if alone == is_serving {
            if alone {
                served.gateway.process.terminate();
            } else {
                served.gateway = Gateway::start(&served.setup.config()).await;
            }
            is_serving = !alone;
        }
        if command.contains("--follow") {
            let count = || {
                let events = fs::read_to_string(folder.join("events.jsonl"));
                events.unwrap_or_default().lines().count()
            };
            let before = count();
            let mut following = shell(command, &folder).spawn().unwrap();
            let client = served.client();
            client.call(GET, Some(&admin), &request).await.ok();
            until("it follows", || (count() > before).then_some(())).await;
            signal(following.id(), "TERM");
            assert_eq!(following.wait().unwrap().code(), Some(0), "{command}");
        } else {
            let output = shell(command, &folder)
                .stdin(Stdio::null())
                .output()
                .unwrap();
            let (said, errors) = told(&output);
            assert!(output.status.success(), "{command}: {errors}");
            if command.contains("--secret") {
                assert_eq!(said.lines().count(), 1, "{command}: {said}");
            } else if command.contains("--kind denied") {
                assert!(said.contains("permission=api_keys_write"), "{said}");
            }
        }
        seen += 1;
    }
    assert!(seen >= 11, "the page has lost its commands");
    let november = fs::read_to_string(folder.join("november.jsonl")).unwrap();
    let reader = keygate::audit::Reader::open(&keygate::audit::Settings::at(
        format!("sqlite:{}", folder.join("trail.db").display())
            .parse()
            .unwrap(),
    ));
    let reader = reader.unwrap();
    for (at, line) in november.lines().enumerate() {
        let place = reader.place(keygate::audit::Position(at as u64));
        let (_, _, leaf) = place.unwrap().unwrap();
        assert_eq!(leaf, Hash::leaf(line.as_bytes()));
    }
    assert!(november.lines().count() > 4);
    let served_rpcs = ["ListRecords", "WatchRecords", "GetCheckpoint", "GetProof"];
    assert!(
        served_rpcs
            .iter()
            .all(|it| PAGE.contains(&format!("`{it}`")))
    );
}
