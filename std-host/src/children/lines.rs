//! Reads the output of a process line by line.

use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, BufReader};

/// Reads an output to its end, because a full pipe would block the process. Passes on each line
/// without its end. A line of more than `longest` bytes is passed on in pieces.
pub(crate) async fn each_line(output: impl AsyncRead + Unpin, longest: usize, mut take: impl FnMut(&str)) {
    let mut reader = BufReader::new(output);
    let mut line = Vec::new();
    while let Ok(read) = (&mut reader).take(longest as u64).read_until(b'\n', &mut line).await {
        if read == 0 {
            break;
        }
        take(&String::from_utf8_lossy(line.trim_ascii_end()));
        line.clear();
    }
}
