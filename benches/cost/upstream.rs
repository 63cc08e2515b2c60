//! An upstream that answers at once: as little of HTTP as the gateway's client
//! speaks, so that it takes next to nothing of the processor.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use keygate::tasks::Tasks;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

/// Serves keys: any that is asked for, and each that is made with an id of its own.
pub(crate) async fn start(tasks: &Tasks) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let (all, made) = (tasks.clone(), Arc::new(AtomicU64::new(0)));
    tasks.spawn_background(async move {
        while let Ok((stream, _)) = listener.accept().await {
            stream.set_nodelay(true).unwrap();
            let made = made.clone();
            all.spawn_background(async move {
                // the gateway closes what it no longer needs
                let _ = serve(stream, &made).await;
            });
        }
    });
    address
}

async fn serve(mut stream: TcpStream, made: &AtomicU64) -> std::io::Result<()> {
    let mut read = Vec::with_capacity(8192);
    loop {
        let length = loop {
            if let Some(length) = request(&read) {
                break length;
            }
            if stream.read_buf(&mut read).await? == 0 {
                return Ok(());
            }
        };
        let answer = match read.starts_with(b"GET") {
            true => answer("200 OK", asked(&read)),
            false => answer("201 Created", made.fetch_add(1, Relaxed)),
        };
        read.drain(..length);
        stream.write_all(answer.as_bytes()).await?;
    }
}

/// How long the request is that is there, its body included; `None` if it is not
/// all there yet.
fn request(read: &[u8]) -> Option<usize> {
    let head = read.windows(4).position(|it| it == b"\r\n\r\n")?;
    let text = std::str::from_utf8(&read[..head]).unwrap();
    let body = text.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        let is_length = name.eq_ignore_ascii_case("content-length");
        is_length.then(|| value.trim().parse::<usize>().unwrap())
    });
    let whole = head + 4 + body.unwrap_or(0);
    (read.len() >= whole).then_some(whole)
}

/// The number of the key that is asked for: the end of its id. A gateway asks for
/// lists too, to know its own keys; any one will do there.
fn asked(request: &[u8]) -> u64 {
    let text = std::str::from_utf8(request).unwrap();
    let path = text.split(' ').nth(1).unwrap();
    let number = path.rsplit('-').next().unwrap();
    u64::from_str_radix(number, 16).unwrap_or(0)
}

fn answer(status: &str, number: u64) -> String {
    let body = format!(
        "{{\"data\":{{\"type\":\"api_keys\",\"id\":\"6f8f7a0e-5b3c-4e55-9c1d-{number:012x}\",\
         \"attributes\":{{\"name\":\"payments-api\",\"key\":\"0123456789abcdef{number:016x}\",\
         \"last4\":\"cdef\",\"created_at\":\"2026-05-01T10:00:00.000000+00:00\",\
         \"modified_at\":\"2026-05-01T10:00:00.000000+00:00\",\"category\":\"production\",\
         \"remote_config_read_enabled\":false}},\"relationships\":{{\"created_by\":{{\"data\":\
         {{\"type\":\"users\",\"id\":\"0b6f4f5e-55a1-11ef-9a7b-da7ad0900002\"}}}}}}}}}}"
    );
    format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}
