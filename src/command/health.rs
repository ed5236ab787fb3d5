//! `marquee health`: asks a running marquee whether it is ready.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, ToSocketAddrs};
use std::time::Duration;

use url::Url;

use crate::app::AppError;
use crate::config::{HealthArgs, Settings};

/// How long each step may take.
const PATIENCE: Duration = Duration::from_secs(3);

/// Asks `/readyz` and fails unless it says 200.
///
/// It is one request over a plain socket, so that a container needs no other program for its health check.
///
/// # Errors
/// When nobody answers, or the answer is not 200.
pub fn health(settings: &Settings, args: &HealthArgs) -> Result<(), AppError> {
    let url = args.url.clone().unwrap_or_else(|| format!("http://{}/readyz", reachable(settings.http.bind)));
    let status = ask(&url).map_err(|reason| AppError::Unhealthy { url: url.clone(), reason })?;
    if status == 200 {
        return Ok(());
    }
    Err(AppError::Unhealthy { url, reason: format!("it answers {status}") })
}

/// Where to reach a server that is bound to `bind`: an unspecified address means this machine.
fn reachable(bind: SocketAddr) -> SocketAddr {
    let ip = match bind.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, bind.port())
}

/// The status of the answer to a GET.
fn ask(url: &str) -> Result<u16, String> {
    let url = Url::parse(url).map_err(|e| e.to_string())?;
    if url.scheme() != "http" {
        return Err("only http:// can be asked".to_owned());
    }
    let host = url.host_str().ok_or("the host is missing")?;
    let port = url.port_or_known_default().unwrap_or(80);
    let address = (host.trim_matches(['[', ']']), port).to_socket_addrs().map_err(|e| e.to_string())?.next();
    let address = address.ok_or("the host has no address")?;
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE).map_err(|e| e.to_string())?;
    let asked = stream
        .set_read_timeout(Some(PATIENCE))
        .and_then(|()| stream.set_write_timeout(Some(PATIENCE)))
        .and_then(|()| {
            write!(stream, "GET {} HTTP/1.1\r\nHost: {host}:{port}\r\nConnection: close\r\n\r\n", url.path())
        });
    asked.map_err(|e| e.to_string())?;
    let mut answer = Vec::new();
    stream.take(64).read_to_end(&mut answer).map_err(|e| e.to_string())?;
    let head = String::from_utf8_lossy(&answer);
    let status = head.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)?.parse().ok());
    status.ok_or_else(|| "the answer is not HTTP".to_owned())
}
