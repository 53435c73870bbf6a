//! The time of day from a time server (feature `sntp`): RFC 4330, RFC 5905 §14.
//!
//! Crates for it put the device's own time into the question and work out how far it is off. Here whole seconds will do, and the place is better
//! used for a mark that nobody can guess.

use super::WallClock;
use embassy_net::udp::{PacketMetadata, UdpSocket};
use embassy_net::{IpEndpoint, Stack};
use embassy_time::{Duration, Timer, with_timeout};

/// Keeps `clock` by the time server at `server`, for ever: asks at once, after a failure every 16 seconds, and else every hour. It has a task of
/// its own and one UDP socket.
///
/// An answer counts only if it repeats the 64 bits that the question had for a mark; `random` gives those, from the device's own source or from
/// its seed ([`provision::random`](crate::provision::random)). Who sits between can still answer himself: the time is believed as far as the
/// network is, and never before the floor of `clock`.
pub async fn sntp(stack: Stack<'_>, server: IpEndpoint, clock: &WallClock, mut random: impl FnMut() -> u64) {
    let (mut rx, mut tx) = ([0; PACKET], [0; PACKET]);
    let (mut received, mut sent) = ([PacketMetadata::EMPTY], [PacketMetadata::EMPTY]);
    let mut socket = UdpSocket::new(stack, &mut received, &mut rx, &mut sent, &mut tx);
    loop {
        stack.wait_config_up().await;
        // Another port each time: an answer that comes too late finds nobody.
        let port = EPHEMERAL | u16::try_from(random() & u64::from(!EPHEMERAL)).unwrap_or_default();
        let mut time = None;
        if socket.bind(port).is_ok() {
            time = with_timeout(PATIENCE, ask(&socket, server, random())).await.ok().flatten();
            socket.close();
        }
        let pause = match time {
            Some(time) if clock.set(time) => AGAIN,
            Some(_) => {
                warning!("time: the server says one that has passed");
                FAILED
            }
            None => {
                warning!("time: the server has not answered, or nothing that counts");
                FAILED
            }
        };
        Timer::after(pause).await;
    }
}

/// Asks for the time, until an answer comes that counts; `None` where the question cannot be sent.
async fn ask(socket: &UdpSocket<'_>, server: IpEndpoint, mark: u64) -> Option<u64> {
    let mut packet = [0; PACKET];
    if let Some(flags) = packet.first_mut() {
        *flags = CLIENT;
    }
    // RFC 5905 §14: what stands for the client's time is repeated, and means nothing to the server.
    if let Some(time) = packet.last_chunk_mut() {
        *time = mark.to_be_bytes();
    }
    socket.send_to(&packet, server).await.ok()?;
    loop {
        let mut packet = [0; PACKET];
        let Ok((length, from)) = socket.recv_from(&mut packet).await else { continue };
        if from.endpoint == server
            && length >= PACKET
            && let Some(time) = answered(&packet, mark)
        {
            return Some(time);
        }
    }
}

/// The time in an answer, in seconds since 1970, if it counts (RFC 4330 §5).
fn answered(packet: &[u8; PACKET], mark: u64) -> Option<u64> {
    let [flags, stratum, rest @ ..] = packet;
    let (leap, mode) = (flags >> 6, flags & 7);
    let word = |at: usize| rest.get(at - 2..at + 2)?.try_into().ok().map(u32::from_be_bytes);
    let (origin, seconds) = (u64::from(word(24)?) << 32 | u64::from(word(28)?), word(40)?);
    // No broadcast; a server whose own clock runs, and that is not telling us to go away (stratum 0); our mark.
    let counts = mode == SERVER && leap != UNSYNCHRONIZED && (1..=15).contains(stratum) && origin == mark;
    // RFC 4330 §3: what is below counts from 2036, when the number begins anew.
    let era = if seconds >> 31 == 0 { 1 << 32 } else { 0 };
    (counts && seconds != 0).then(|| u64::from(seconds) + era - UNTIL_1970)
}

const PACKET: usize = 48;
/// Version 4, a client.
const CLIENT: u8 = 4 << 3 | 3;
const SERVER: u8 = 4;
const UNSYNCHRONIZED: u8 = 3;
/// Seconds from 1900 to 1970.
const UNTIL_1970: u64 = 2_208_988_800;
/// The first of the ports for such uses (RFC 6335 §6).
const EPHEMERAL: u16 = 49152;

const PATIENCE: Duration = Duration::from_secs(4);
/// RFC 4330 §10: never less than 15 seconds.
const FAILED: Duration = Duration::from_secs(16);
const AGAIN: Duration = Duration::from_secs(3600);

#[cfg(test)]
mod tests {
    use super::*;

    const MARK: u64 = 0x0123_4567_89AB_CDEF;

    fn packet(flags: u8, stratum: u8, mark: u64, seconds: u32) -> [u8; PACKET] {
        let mut packet = [0; PACKET];
        packet[..2].copy_from_slice(&[flags, stratum]);
        packet[24..32].copy_from_slice(&mark.to_be_bytes());
        packet[40..44].copy_from_slice(&seconds.to_be_bytes());
        packet
    }

    #[test]
    fn answer_counts_if_it_is_one_to_the_question_by_a_server_that_knows() {
        const SECONDS: u32 = 3_900_000_000;
        let good = 4 << 3 | SERVER;
        for (packet, expected) in [
            (packet(good, 1, MARK, SECONDS), Some(u64::from(SECONDS) - UNTIL_1970)),
            (packet(1 << 6 | good, 15, MARK, SECONDS), Some(u64::from(SECONDS) - UNTIL_1970)),
            (packet(good, 1, MARK, 1), Some((1 << 32) + 1 - UNTIL_1970)),
            (packet(good, 1, MARK ^ 1, SECONDS), None),
            (packet(good, 1, MARK ^ 1 << 63, SECONDS), None),
            (packet(good, 0, MARK, SECONDS), None),
            (packet(good, 16, MARK, SECONDS), None),
            (packet(3 << 6 | good, 1, MARK, SECONDS), None),
            (packet(4 << 3 | 5, 1, MARK, SECONDS), None),
            (packet(CLIENT, 1, MARK, SECONDS), None),
            (packet(good, 1, MARK, 0), None),
        ] {
            assert_eq!(answered(&packet, MARK), expected, "{packet:?}");
        }
    }
}
