//! Serial lines: a board on a port of this machine.

use super::error::Error;
use core::fmt;
use core::time::Duration;
use rustix::fs::{Mode, OFlags, open};
use rustix::termios::{OptionalActions, QueueSelector, ioctl_tiocexcl, tcflush, tcgetattr, tcsetattr};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::unix::pipe::{Receiver, Sender};
use tokio::time::{Instant, timeout};

/// A serial port with a server behind it, which sends and takes one message a line, such as a board
/// that runs `attache-core`.
///
/// ```
/// use attache_host::client::SerialPort;
///
/// let port = SerialPort::parse("serial:/dev/ttyACM0?baud=9600").expect("a serial port");
/// assert_eq!(port.expect("a path and a rate"), SerialPort::new("/dev/ttyACM0").baud(9600));
/// assert!(SerialPort::parse("https://mcp.example/mcp").is_none());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SerialPort {
    path: PathBuf,
    baud: u32,
}

/// The rate of a port unless told otherwise, in bits per second.
const BAUD: u32 = 115_200;

/// A board that sends nothing for this long has said what it had to say.
const QUIET: Duration = Duration::from_millis(200);
/// The longest time to wait for that. Lines of a log are skipped later, too.
const LONGEST_NOISE: Duration = Duration::from_secs(2);

/// The URL of a serial port is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidSerialUrl(String);

impl fmt::Display for InvalidSerialUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} must be like serial:/dev/ttyACM0 or serial:/dev/ttyUSB0?baud=9600", self.0)
    }
}

impl core::error::Error for InvalidSerialUrl {}

impl SerialPort {
    /// The port at this path, with 115200 bits per second.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), baud: BAUD }
    }

    /// Sets the rate, in bits per second. A port over USB ignores it.
    #[must_use]
    pub const fn baud(mut self, baud: u32) -> Self {
        self.baud = baud;
        self
    }

    /// Reads a URL such as `serial:/dev/ttyACM0?baud=9600`. Returns `None` if the URL is of another
    /// kind.
    pub fn parse(url: &str) -> Option<Result<Self, InvalidSerialUrl>> {
        let rest = url.strip_prefix("serial:")?;
        let invalid = || InvalidSerialUrl(url.to_owned());
        let (path, query) = rest.split_once('?').map_or((rest, None), |(path, query)| (path, Some(query)));
        let path = path.strip_prefix("//").filter(|path| path.starts_with('/')).unwrap_or(path);
        if !Path::new(path).is_absolute() {
            return Some(Err(invalid()));
        }
        let baud = match query.map(|query| query.strip_prefix("baud=").and_then(|baud| baud.parse().ok())) {
            None => BAUD,
            Some(Some(baud)) if baud > 0 => baud,
            Some(_) => return Some(Err(invalid())),
        };
        Some(Ok(Self::new(path).baud(baud)))
    }

    /// Opens the port, and waits until the board is quiet.
    ///
    /// The board may hold the beginning of a line, from its start or from another program. An empty
    /// line ends it. The board may answer that it is not a message; such an answer has no id, and would
    /// be taken for that to the first request.
    pub(super) async fn open_quiet(&self) -> Result<(Receiver, Sender), Error> {
        let (mut input, mut output) = self.open()?;
        let failed = |error: io::Error| Error::Unreachable(format!("{}: {error}", self.path.display()));
        output.write_all(b"\n").await.map_err(failed)?;
        let until = Instant::now() + LONGEST_NOISE;
        let mut noise = [0; 256];
        while Instant::now() < until {
            match timeout(QUIET, input.read(&mut noise)).await {
                Ok(Ok(1..)) => {}
                Ok(Ok(0)) => return Err(failed(io::ErrorKind::UnexpectedEof.into())),
                Ok(Err(error)) => return Err(failed(error)),
                Err(_) => break,
            }
        }
        Ok((input, output))
    }

    /// Opens the port for this program alone, without any translation of bytes.
    fn open(&self) -> Result<(Receiver, Sender), Error> {
        let path = self.path.display();
        let failed = |error: io::Error| {
            Error::Unreachable(match error.kind() {
                io::ErrorKind::NotFound => format!("there is no serial port {path}: connect the board"),
                io::ErrorKind::PermissionDenied => {
                    format!("{path}: permission denied: add the user to the group of the port, such as dialout")
                }
                io::ErrorKind::ResourceBusy => format!("{path} is in use: end the other program, such as a terminal"),
                _ => format!("{path}: {error}"),
            })
        };
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let port = open(&self.path, flags, Mode::empty()).map_err(|error| failed(error.into()))?;
        let set_up = || -> rustix::io::Result<()> {
            let mut modes = tcgetattr(&port)?;
            modes.make_raw();
            modes.set_speed(self.baud)?;
            tcsetattr(&port, OptionalActions::Now, &modes)?;
            ioctl_tiocexcl(&port)?;
            // Bytes that a board has sent before are not an answer.
            tcflush(&port, QueueSelector::IOFlush)
        };
        set_up().map_err(|error| failed(error.into()))?;
        // Tokio has no type for ports. Those for the ends of a pipe read and write any file that can
        // be waited for.
        let input = File::from(port);
        let output = input.try_clone().map_err(failed)?;
        let receiver = Receiver::from_file_unchecked(input).map_err(failed)?;
        Ok((receiver, Sender::from_file_unchecked(output).map_err(failed)?))
    }
}
