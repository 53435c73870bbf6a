//! The owner of a connection on this machine.
//!
//! The port of the endpoint is open to every local user, and the id of a worker is visible in its command line. So
//! a connection is accepted only if its other end belongs to the user of this process.

use core::net::{IpAddr, SocketAddr};
use std::io;
use tokio::net::TcpStream;

/// Whether the other end of a loopback connection belongs to the user of this process.
///
/// # Errors
/// If the table of connections cannot be read.
#[cfg(target_os = "linux")]
pub(super) fn is_own(stream: &TcpStream) -> io::Result<bool> {
    let (here, there) = (stream.local_addr()?, stream.peer_addr()?);
    let own = rustix::process::geteuid().as_raw();
    // A socket of IPv6 that is connected to an address of IPv4 is in the table of IPv6.
    for (file, is_v6) in [("/proc/net/tcp", false), ("/proc/net/tcp6", true)] {
        // The second table is missing on a machine without IPv6.
        let Ok(table) = std::fs::read_to_string(file) else { continue };
        if let Some(owner) = owner(&table, &hex(there, is_v6), &hex(here, is_v6)) {
            return Ok(owner == own);
        }
    }
    Err(io::Error::new(io::ErrorKind::NotFound, "the connection is not in /proc/net/tcp"))
}

/// Other systems have no table of connections that a program can read. There the id of the worker is the only proof.
#[cfg(not(target_os = "linux"))]
pub(super) fn is_own(_: &TcpStream) -> io::Result<bool> {
    Ok(true)
}

/// Returns the user of the socket with these addresses.
// proc(5), /proc/net/tcp: `sl local_address rem_address st tx:rx tr:tm retrnsmt uid …`
#[cfg_attr(not(target_os = "linux"), allow(dead_code, reason = "Linux has the table"))]
fn owner(table: &str, local: &str, remote: &str) -> Option<u32> {
    let line = table.lines().map(|line| line.split_ascii_whitespace().collect::<Vec<_>>());
    let mut found = line.filter(|fields| fields.get(1) == Some(&local) && fields.get(2) == Some(&remote));
    found.next()?.get(7)?.parse().ok()
}

/// Returns an address in the form of the table: each word of four bytes in the byte order of the machine.
#[cfg_attr(not(target_os = "linux"), allow(dead_code, reason = "Linux has the table"))]
fn hex(address: SocketAddr, is_v6: bool) -> String {
    let words: Vec<[u8; 4]> = match address.ip() {
        IpAddr::V4(ip) if is_v6 => ip.to_ipv6_mapped().octets().as_chunks().0.to_vec(),
        IpAddr::V4(ip) => vec![ip.octets()],
        IpAddr::V6(ip) => ip.octets().as_chunks().0.to_vec(),
    };
    let words: String = words.into_iter().map(|word| format!("{:08X}", u32::from_ne_bytes(word))).collect();
    format!("{words}:{:04X}", address.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n   \
        0: 0100007F:9C4A 0100007F:1F90 01 00000000:00000000 00:00000000 00000000  1000        0 4711 1 0 20 4 30 10 -1\n   \
        1: 0100007F:1F90 0100007F:9C4A 01 00000000:00000000 00:00000000 00000000     0        0 4712 1 0 20 4 30 10 -1\n";

    #[test]
    fn owner_is_that_of_the_other_end_and_not_of_our_own() {
        assert_eq!(owner(TABLE, "0100007F:9C4A", "0100007F:1F90"), Some(1000));
        assert_eq!(owner(TABLE, "0100007F:1F90", "0100007F:9C4A"), Some(0));
        assert_eq!(owner(TABLE, "0100007F:0001", "0100007F:9C4A"), None);
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn connection_of_this_process_is_its_own() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let _client = TcpStream::connect(listener.local_addr().expect("bound")).await.expect("it listens");
        let (stream, _) = listener.accept().await.expect("a connection");
        assert!(is_own(&stream).expect("the table has it"));
    }
}
