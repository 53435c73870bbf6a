//! Rows in a database file, for one process.

use super::{RowChange, RowKey, RowStore, Unavailable};
use core::fmt;
use redb::backends::FileBackend;
use redb::{Database, ReadableTable as _, TableDefinition};
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::hmac;
use std::fs::File;

/// A [`RowStore`] in a database file, encrypted. A change is on the disk before [`update`](RowStore::update) returns. One process
/// can have the file open.
pub struct FileRows {
    database: Database,
    /// The first one encrypts, and all of them decrypt.
    keys: Vec<LessSafeKey>,
}

impl fmt::Debug for FileRows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileRows").finish_non_exhaustive()
    }
}

/// Why a file cannot be used as a store.
#[derive(Debug)]
pub enum CannotOpen {
    /// Another process has it open.
    InUse,
    /// There is no key.
    NoKey,
    /// It is not a database, or cannot be read or written.
    Broken(String),
}

impl fmt::Display for CannotOpen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InUse => f.write_str("another process has it open"),
            Self::NoKey => f.write_str("there is no key to encrypt it"),
            Self::Broken(why) => write!(f, "it is not a usable database: {why}"),
        }
    }
}

impl core::error::Error for CannotOpen {}

/// The rows: a time of expiry in eight bytes, a nonce, and the encrypted value.
const ROWS: TableDefinition<'_, &RowKey, &[u8]> = TableDefinition::new("rows");

/// Memory for pages of the file. A row takes a page or a part of one, and few rows are used at once.
const CACHE: usize = 4 * 1024 * 1024;

type Failed = Box<dyn core::error::Error>;

impl FileRows {
    /// Opens a database in this file, or makes one if the file is empty. The `keys` encrypt the rows: the first one those that
    /// are written, and any of them may have encrypted those that are read. Rows under other keys do not exist.
    ///
    /// # Errors
    /// [`CannotOpen`] says why.
    pub fn open(file: File, keys: &[[u8; 32]]) -> Result<Self, CannotOpen> {
        let keys: Vec<_> = keys.iter().filter_map(row_key).collect();
        if keys.is_empty() {
            return Err(CannotOpen::NoKey);
        }
        let backend = FileBackend::new(file);
        let opened = backend.and_then(|file| Database::builder().set_cache_size(CACHE).create_with_backend(file));
        let database = opened.map_err(|error| match error {
            redb::DatabaseError::DatabaseAlreadyOpen => CannotOpen::InUse,
            other => CannotOpen::Broken(other.to_string()),
        })?;
        Ok(Self { database, keys })
    }

    /// Removes the rows that have expired, and returns their number.
    ///
    /// # Errors
    /// [`Unavailable`] if the file cannot be read or written.
    pub fn remove_expired(&self, now: u64) -> Result<usize, Unavailable> {
        let removed = || {
            let transaction = self.database.begin_write()?;
            let mut removed = 0;
            transaction.open_table(ROWS)?.retain(|_, row| {
                let is_kept = expiry(row).is_some_and(|(until, _)| until > now);
                removed += usize::from(!is_kept);
                is_kept
            })?;
            transaction.commit()?;
            Ok(removed)
        };
        removed().map_err(unavailable)
    }

    fn change(&self, key: &RowKey, now: u64, change: &mut dyn FnMut(Option<&[u8]>) -> RowChange) -> Result<(), Failed> {
        let transaction = self.database.begin_write()?;
        let changed = {
            let mut table = transaction.open_table(ROWS)?;
            let row = table.get(key)?.and_then(|row| self.opened(key, row.value(), now));
            match change(row.as_deref()) {
                RowChange::Keep => false,
                RowChange::Put(value, until) => {
                    table.insert(key, self.sealed(key, value, until)?.as_slice())?;
                    true
                }
            }
        };
        if changed {
            transaction.commit()?
        } else {
            transaction.abort()?
        }
        Ok(())
    }

    fn sealed(&self, key: &RowKey, mut value: Vec<u8>, until: u64) -> Result<Vec<u8>, Failed> {
        let mut nonce = [0; NONCE_LEN];
        getrandom::fill(&mut nonce)?;
        let until = until.to_be_bytes();
        let first = self.keys.first().ok_or("there is no key")?;
        // A value that is moved to another row, or whose time is changed, does not open.
        let bound = Aad::from([&key[..], &until].concat());
        let sealed = first.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), bound, &mut value);
        sealed.map_err(|_| "the row cannot be encrypted")?;
        Ok([&until[..], &nonce, &value].concat())
    }

    /// Returns the value of a row; `None` if it has expired, or cannot be decrypted.
    fn opened(&self, key: &RowKey, row: &[u8], now: u64) -> Option<Vec<u8>> {
        let (until, rest) = expiry(row).filter(|(until, _)| *until > now)?;
        let (nonce, sealed) = rest.split_first_chunk()?;
        let bound = [&key[..], &until.to_be_bytes()].concat();
        self.keys.iter().find_map(|own| {
            let mut value = sealed.to_vec();
            let opened = own.open_in_place(Nonce::assume_unique_for_key(*nonce), Aad::from(&bound), &mut value);
            opened.ok().map(|value| value.to_vec())
        })
    }
}

impl RowStore for FileRows {
    fn update(
        &self,
        key: &RowKey,
        now: u64,
        change: &mut dyn FnMut(Option<&[u8]>) -> RowChange,
    ) -> Result<(), Unavailable> {
        self.change(key, now, change).map_err(unavailable)
    }
}

fn unavailable(error: Failed) -> Unavailable {
    tracing::error!(%error, "the store cannot be read or written");
    Unavailable
}

/// Derives the key of the rows, so that it is not the one that seals values for clients.
fn row_key(key: &[u8; 32]) -> Option<LessSafeKey> {
    let derived = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), b"attache store rows");
    UnboundKey::new(&AES_256_GCM, derived.as_ref()).ok().map(LessSafeKey::new)
}

fn expiry(row: &[u8]) -> Option<(u64, &[u8])> {
    let (until, rest) = row.split_first_chunk()?;
    Some((u64::from_be_bytes(*until), rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::{Path, PathBuf};

    const KEY: [u8; 32] = [1; 32];

    fn path(name: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("attache-rows-{name}-{}", std::process::id()));
        let _ = std::fs::remove_file(&path);
        path
    }

    fn file(path: &Path) -> File {
        File::options().read(true).write(true).create(true).truncate(false).open(path).expect("a file")
    }

    fn get(rows: &FileRows, key: u8, now: u64) -> Option<Vec<u8>> {
        let mut value = None;
        let read = rows.update(&[key; 16], now, &mut |row| {
            value = row.map(<[u8]>::to_vec);
            RowChange::Keep
        });
        read.expect("available");
        value
    }

    fn put(rows: &FileRows, key: u8, value: &[u8], until: u64) {
        rows.update(&[key; 16], 0, &mut |_| RowChange::Put(value.to_vec(), until)).expect("available");
    }

    #[test]
    fn rows_outlive_their_process_encrypted_until_they_expire() {
        let path = path("durable");
        let rows = FileRows::open(file(&path), &[KEY]).expect("a new file");
        put(&rows, 1, b"a marked value", 100);
        put(&rows, 2, b"another", 50);
        assert!(matches!(FileRows::open(file(&path), &[KEY]), Err(CannotOpen::InUse)), "one process at a time");
        drop(rows);
        let bytes = std::fs::read(&path).expect("a file");
        assert!(!bytes.windows(8).any(|window| window == b"a marked"), "it is encrypted");
        // A new key comes first, and the old one still opens.
        let rows = FileRows::open(file(&path), &[[2; 32], KEY]).expect("its own file");
        assert_eq!(get(&rows, 1, 99).as_deref(), Some(&b"a marked value"[..]));
        assert_eq!((get(&rows, 1, 100), get(&rows, 3, 0)), (None, None));
        assert_eq!(rows.remove_expired(60), Ok(1));
        assert_eq!(get(&rows, 2, 0), None);
        drop(rows);
        let rows = FileRows::open(file(&path), &[[3; 32]]).expect("its own file");
        assert_eq!(get(&rows, 1, 0), None, "under another key it does not exist");
        std::fs::remove_file(&path).expect("it is there");
    }

    #[test]
    fn row_that_was_moved_or_given_another_time_does_not_open() {
        let path = path("moved");
        let rows = FileRows::open(file(&path), &[KEY]).expect("a new file");
        let sealed = rows.sealed(&[1; 16], b"value".to_vec(), 100).expect("sealed");
        assert!(rows.opened(&[1; 16], &sealed, 0).is_some());
        assert_eq!(rows.opened(&[2; 16], &sealed, 0), None, "another row");
        let mut later = sealed.clone();
        later[6] = 1;
        assert_eq!(rows.opened(&[1; 16], &later, 0), None, "another time");
        assert_eq!(rows.opened(&[1; 16], &sealed[..7], 0), None, "a part is missing");
        drop(rows);
        std::fs::remove_file(&path).expect("it is there");
    }

    #[test]
    fn file_that_is_no_database_or_read_only_is_refused() {
        let path = path("broken");
        std::fs::write(&path, "not a database, but long enough to be read as one".repeat(200)).expect("written");
        assert!(matches!(FileRows::open(file(&path), &[KEY]), Err(CannotOpen::Broken(_))));
        std::fs::write(&path, "").expect("written");
        let read_only = File::open(&path).expect("a file");
        assert!(matches!(FileRows::open(read_only, &[KEY]), Err(CannotOpen::Broken(_))));
        assert!(matches!(FileRows::open(file(&path), &[]), Err(CannotOpen::NoKey)));
        std::fs::remove_file(&path).expect("it is there");
    }

    /// The variable by which this test starts itself as a process that is killed.
    const VICTIM: &str = "ATTACHE_TEST_ROWS";

    /// Writes numbers and prints each one after it was stored, until it is killed.
    #[test]
    fn process_that_is_killed_while_it_writes_loses_nothing_that_it_has_stored() {
        use std::io::{BufRead as _, BufReader, Write as _};
        use std::process::{Command, Stdio};
        if let Some(path) = std::env::var_os(VICTIM) {
            let rows = FileRows::open(file(Path::new(&path)), &[KEY]).expect("its own file");
            for number in 0_u64.. {
                put(&rows, 1, &number.to_be_bytes(), u64::MAX);
                writeln!(std::io::stderr(), "stored {number}").expect("a reader");
            }
        }
        let path = path("killed");
        for round in 0..20 {
            let program = std::env::current_exe().expect("a program");
            let name = "process_that_is_killed_while_it_writes_loses_nothing_that_it_has_stored";
            let mut command = Command::new(program);
            command.args([name, "--nocapture"]).env(VICTIM, &path).stdout(Stdio::null()).stderr(Stdio::piped());
            let mut victim = command.spawn().expect("it starts");
            let mut lines = BufReader::new(victim.stderr.take().expect("piped")).lines();
            let read = |line: String| line.strip_prefix("stored ").and_then(|number| number.parse::<u64>().ok());
            let mut last = None;
            for _ in 0..5 + round {
                last = lines.next().and_then(Result::ok).and_then(read).or(last);
            }
            victim.kill().expect("it runs");
            last = lines.map_while(Result::ok).filter_map(read).last().or(last);
            victim.wait().expect("it has ended");
            let rows = FileRows::open(file(&path), &[KEY]).expect("the file is whole");
            let stored = get(&rows, 1, 0).and_then(|value| value.try_into().ok()).map(u64::from_be_bytes);
            assert!(last.is_some() && stored >= last, "{stored:?} was read, and {last:?} was stored");
        }
        std::fs::remove_file(&path).expect("it is there");
    }
}
