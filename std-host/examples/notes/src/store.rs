//! The notes in a SQLite database.

use rusqlite::{Connection, Result, Row, params};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A note as its author writes it.
#[derive(Clone, Deserialize, JsonSchema)]
pub struct Draft {
    /// what to remember
    pub text: String,
    /// words to find the note by
    #[serde(default)]
    pub tags: Vec<String>,
    /// where the note comes from
    pub source: Option<Source>,
    /// how important the note is
    #[serde(default)]
    pub priority: Priority,
}

/// The page or the book that a note comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Source {
    /// title of the page or the book
    pub title: String,
    /// URL of the page
    pub url: Option<String>,
}

/// How important a note is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Priority {
    /// it can wait
    Low,
    /// neither of the others
    #[default]
    Normal,
    /// before all others
    High,
}

/// A stored note.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Note {
    /// number of the note
    pub id: i64,
    /// what to remember
    pub text: String,
    /// words to find the note by
    pub tags: Vec<String>,
    /// where the note comes from
    pub source: Option<Source>,
    /// how important the note is
    pub priority: Priority,
}

/// The database. Its calls block, but only as long as a local file needs.
pub struct Store(Mutex<Connection>);

impl Store {
    /// Opens the database in this file, or in memory for `:memory:`.
    pub fn open(path: &str) -> Result<Self> {
        let connection = Connection::open(path)?;
        connection.execute_batch(
            "CREATE TABLE IF NOT EXISTS notes (id INTEGER PRIMARY KEY, text TEXT NOT NULL, details TEXT NOT NULL);
             CREATE TABLE IF NOT EXISTS tags (note INTEGER NOT NULL, tag TEXT NOT NULL);
             CREATE INDEX IF NOT EXISTS by_tag ON tags (tag);",
        )?;
        Ok(Self(Mutex::new(connection)))
    }

    /// Adds a note.
    pub fn add(&self, draft: Draft) -> Result<Note> {
        let mut connection = self.connection();
        let transaction = connection.transaction()?;
        let Draft { text, tags, source, priority } = draft;
        let details = attache_host::serde_json::json!([tags, source, priority]).to_string();
        transaction.execute("INSERT INTO notes (text, details) VALUES (?1, ?2)", params![text, details])?;
        let id = transaction.last_insert_rowid();
        for tag in &tags {
            transaction.execute("INSERT INTO tags (note, tag) VALUES (?1, ?2)", params![id, tag])?;
        }
        transaction.commit()?;
        Ok(Note { id, text, tags, source, priority })
    }

    /// Finds the note with this number.
    pub fn get(&self, id: i64) -> Result<Option<Note>> {
        Ok(self.select("WHERE id = ?1", params![id])?.pop())
    }

    /// Finds the notes whose text contains this, and that have this tag if one is given.
    pub fn find(&self, text: &str, tag: Option<&str>) -> Result<Vec<Note>> {
        let with_tag =
            "WHERE instr(text, ?1) > 0 AND (?2 IS NULL OR id IN (SELECT note FROM tags WHERE tag = ?2)) ORDER BY id";
        self.select(with_tag, params![text, tag])
    }

    /// Deletes a note. Returns `false` if there is none with this number.
    pub fn remove(&self, id: i64) -> Result<bool> {
        let mut connection = self.connection();
        let transaction = connection.transaction()?;
        transaction.execute("DELETE FROM tags WHERE note = ?1", params![id])?;
        let removed = transaction.execute("DELETE FROM notes WHERE id = ?1", params![id])?;
        transaction.commit()?;
        Ok(removed == 1)
    }

    /// Returns the tags that begin with this text, and the number of their notes.
    pub fn tags(&self, beginning: &str) -> Result<Vec<(String, i64)>> {
        let connection = self.connection();
        let mut tags = connection.prepare(
            "SELECT tag, count(*) FROM tags WHERE substr(tag, 1, length(?1)) = ?1 GROUP BY tag ORDER BY 2 DESC, 1",
        )?;
        tags.query_map(params![beginning], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
    }

    fn select(&self, condition: &str, values: impl rusqlite::Params) -> Result<Vec<Note>> {
        let connection = self.connection();
        let mut notes = connection.prepare(&format!("SELECT id, text, details FROM notes {condition}"))?;
        notes.query_map(values, note)?.collect()
    }

    fn connection(&self) -> MutexGuard<'_, Connection> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn note(row: &Row<'_>) -> Result<Note> {
    let details: String = row.get(2)?;
    let (tags, source, priority) = attache_host::serde_json::from_str(&details)
        .map_err(|error| rusqlite::Error::FromSqlConversionFailure(2, rusqlite::types::Type::Text, Box::new(error)))?;
    Ok(Note { id: row.get(0)?, text: row.get(1)?, tags, source, priority })
}
