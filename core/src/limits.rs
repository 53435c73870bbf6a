//! The limits of the protocol engine, each with its reason.

/// Maximum nesting depth of arrays and objects in a message.
///
/// RFC 8259 §9 leaves the limit to the implementation. The open brackets are the bits of one `u64`,
/// so depth costs no stack; real requests stay below ten. A deeper message is refused with
/// `-32700`.
pub const DEPTH: u32 = 64;

/// Maximum length of a name or method, in bytes, that an error message repeats to the peer.
///
/// A tool name has at most 128 characters (MCP 2026-07-28 server/tools); a longer name is left out
/// of the text.
pub const ECHOED_NAME: usize = 128;

/// Milliseconds for which a client may cache the results of `server/discover` and of lists.
///
/// MCP 2026-07-28 server/utilities/caching requires a hint and leaves the value open. With a
/// minute, a slow device is not asked for the same lists again within a conversation, and clients
/// soon notice changed firmware.
pub const LIST_TTL_MS: &str = "60000";

/// Maximum number of member groups in one list entry. They are sent as one section.
pub const MEMBERS: usize = 7;

/// Maximum number of values in one completion (MCP server/utilities/completion).
pub const COMPLETIONS: usize = 100;

/// Milliseconds for which a client may cache a resource that it has read: 0, because its
/// contents are measurements or change for other reasons.
pub const READ_TTL_MS: &str = "0";

/// Maximum number of arguments of one call that are mirrored in headers (MCP 2026-07-28
/// server/tools, `x-mcp-header`). Each costs 32 bytes of stack on a device.
pub const MIRRORED: usize = 8;

/// Bytes reserved after a streamed text for the end of the result: 150 bytes plus the server's name
/// and version in the modern era.
pub const TAIL: usize = 256;

/// Maximum length of the state that a handler on a device gives to its client with a question, in
/// bytes. It is on the stack while it is sealed; a step and a few numbers fit.
pub const ASKED_STATE: usize = 64;

/// Time in seconds for which a client may answer a question: 15 minutes, because a person answers.
pub const ASKED_SECONDS: u64 = 15 * 60;

/// Maximum length of a subscription's request id on a device, in bytes, quotes included. A UUID
/// has 38 bytes; the id is stored as long as the subscription is open.
pub const LISTEN_ID: usize = 64;

/// Maximum number of resources of a device that have update notifications. A subscription's
/// selection is stored in the bits of one word.
pub const UPDATED: usize = 32;

/// Maximum number of tasks of a device that wait for changes without extra cost: one per
/// connection. With more tasks all still work, with needless wake-ups.
pub const WAITING: usize = 4;

/// Bytes of a line that are read ahead while a call runs, to find its cancellation and pings: a few
/// of them, or a small request followed by one.
pub const MEANWHILE: usize = 256;

/// Maximum number of bytes that are skipped of a body that does not fit, so that the connection
/// stays usable. A larger body is refused at once.
pub const SKIPPED: usize = 64 * 1024;

/// Maximum number of digits in a chunk size, leading zeros included: up to 256 MiB, far more than
/// any accepted body.
pub const CHUNK_DIGITS: u8 = 7;

/// Maximum size in bytes of a chunk extension, and of the whole trailer after the last chunk. Both
/// are discarded.
pub const CHUNK_WORDS: u8 = 128;

/// Maximum length of a request id, in bytes as the client wrote it, under which a legacy client can
/// cancel a call. SDKs use numbers or UUIDs; the table of running calls stores each id.
pub const REQUEST_ID: usize = 64;

/// Maximum number of questions that a call may ask a legacy client at once: one bit each in the
/// table of running calls.
pub const QUESTIONS: usize = 32;

/// Maximum number of messages in a batch (MCP 2025-03-26 basic/index): a rate limit counts a batch
/// as one request.
pub const BATCH: usize = 32;

/// Number of characters in a session id: Base64 of 63 bytes.
pub const SESSION_ID: usize = 84;

/// Lifetime of a session id in seconds: a working day and the night after it. After that the server
/// responds with 404, which tells the client to initialize a new session.
pub const SESSION_LIFE: u64 = 24 * 60 * 60;

/// Default tolerance in seconds between the clocks of an issuer and of this server; a policy can
/// set another. Machines synchronized by NTP differ by less than one second; RFC 7519 §4.1.4 allows
/// no more than a few minutes.
pub const LEEWAY: u64 = 60;

/// Maximum number of pairs of a broad scope and a scope that it includes. They are resolved in the
/// bits of one `u64`.
pub const IMPLIED: usize = 64;

/// Minimum size of an RSA modulus in bits (RFC 7518 §3.3: "2048 bits or larger MUST be used").
pub const RSA_BITS: usize = 2048;

/// Maximum size of an RSA modulus in bits. Checking a 4096-bit signature takes four times as long
/// as a 2048-bit one.
pub const RSA_MAX_BITS: usize = 4096;

/// Maximum size in bytes of the claims of a token that a device stores after checking it; it
/// refuses tokens with larger claims. Access tokens of common issuers have 400 to 900 bytes of
/// claims; those of Entra ID, up to 2.2 KB with an RSA signature, 1,350.
pub const CLAIMS: usize = 1408;

/// Seconds by which a certain time must be newer than the last one in the journal of a device. With
/// four records an hour, two sectors of 4 KiB with 100,000 erasures each last for some centuries.
pub const JOURNAL_STEP: u32 = 15 * 60;

/// Maximum number of signatures that a device checks in a burst, for all callers together.
pub const SIGNATURES: u64 = 4;

/// Milliseconds after which a device may check one more signature: two a second, because the device
/// can do nothing else during a check.
pub const SIGNATURE_MS: u64 = 500;

/// Maximum number of signatures that a device checks in a burst for one address, so that one caller
/// cannot use up the budget of all.
pub const SIGNATURES_EACH: u64 = 3;

/// Milliseconds after which a device may check one more signature for the same address: half the
/// rate of all callers together.
pub const SIGNATURE_EACH_MS: u64 = 1000;

/// Maximum number of addresses with a token bucket of their own on a device. A bucket is full again
/// after three seconds, in which at most ten signatures are checked; so a new address only ever
/// replaces an address with a full bucket.
pub const SIGNATURE_ADDRESSES: usize = 10;

/// Maximum number of significant digits of a floating-point number. No format prints more than 17,
/// and decimal types of other languages 28 or 34. A number with this many digits is still read
/// exactly before it is rounded.
pub const FLOAT_DIGITS: usize = 40;

/// Maximum nesting depth of brackets in arguments that serde reads: serde-json-core recurses over
/// skipped values, and a task of a device has a few kilobytes of stack.
pub const SERDE_DEPTH: u32 = 8;
