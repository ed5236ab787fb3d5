//! What the operating system is asked for: open files, and an end to clients that stop reading.

use std::time::Duration;

use actix_web::rt::net::TcpStream;
use socket2::SockRef;

/// Sets up a new connection.
///
/// Small answers leave at once. A client that acknowledges nothing for `stall`, or keeps its window shut
/// for so long, is cut off by the kernel (`TCP_USER_TIMEOUT`, RFC 5482): it would hold what it was to be
/// sent for ever.
pub(super) fn on_connect(connection: &TcpStream, stall: Duration) {
    let socket = SockRef::from(connection);
    // Neither is needed for a right answer.
    let _ = socket.set_tcp_nodelay(true);
    #[cfg(target_os = "linux")]
    let _ = socket.set_tcp_user_timeout(Some(stall));
    #[cfg(not(target_os = "linux"))]
    let _ = stall;
}

/// Raises the limit of open files to what `connections` need, and warns when it stays below.
pub fn raise_open_files(connections: u64) {
    let Ok((_, hard)) = rlimit::Resource::NOFILE.get() else {
        return;
    };
    let raised = rlimit::increase_nofile_limit(hard).unwrap_or_default();
    if raised < connections {
        log::warn!(
            "this process may open {raised} files, fewer than the {connections} that MARQUEE_MAX_CONNECTIONS and the \
             database can need: raise the limit (ulimit -n, LimitNOFILE=, ulimits: nofile) or lower \
             MARQUEE_MAX_CONNECTIONS"
        );
    } else {
        log::debug!("this process may open {raised} files");
    }
}
