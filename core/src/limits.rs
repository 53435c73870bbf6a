//! The numbers of the protocol engine, each with its reason. Nothing else in the crate is a number in code.

/// Deepest nesting of arrays and objects that a message may have.
///
/// RFC 8259 §9 leaves the limit to the implementation. The open brackets live in the bits of one `u64`, so depth costs
/// no stack; real requests stay below ten. A deeper message is refused with `-32700`.
pub const DEPTH: u32 = 64;

/// Longest name or method, in bytes, that an error message repeats to the peer.
///
/// A tool name has at most 128 characters (MCP 2026-07-28 server/tools); a longer one is left out of the text.
pub const ECHOED_NAME: usize = 128;

/// Milliseconds for which a client may keep the answers to `server/discover` and `tools/list`.
///
/// MCP 2026-07-28 server/utilities/caching asks for a hint and leaves the value open. A minute spares a slow device the
/// repeated lists of one conversation, and a changed firmware is seen soon.
pub const LIST_TTL_MS: &str = "60000";

/// Most groups of members that one entry of a list may have. They are sent in one section.
pub const MEMBERS: usize = 7;

/// Most values that one completion may have (MCP server/utilities/completion).
pub const COMPLETIONS: usize = 100;

/// Milliseconds for which a client may keep a resource that it has read: none, because what is read here is measured or
/// changes otherwise.
pub const READ_TTL_MS: &str = "0";

/// Most arguments of one call that may be mirrored in headers (MCP 2026-07-28 server/tools, `x-mcp-header`). Each costs 32
/// bytes of stack on a device.
pub const MIRRORED: usize = 8;

/// Bytes that are kept free behind a text that was streamed: what stands behind the content of a modern result is 150 bytes and
/// the server's name and version.
pub const TAIL: usize = 256;

/// Longest id of a subscription on a device, in bytes, quotes included: a UUID has 38. It is kept as long as the subscription.
pub const LISTEN_ID: usize = 64;

/// Most resources of a device whose updates are told. Which of them a subscription wants is kept in the bits of one word.
pub const UPDATED: usize = 32;

/// Most tasks of a device that wait for changes at once: one a connection. More still work, with needless wake-ups.
pub const WAITING: usize = 4;

/// Bytes of a line that are read ahead while a call runs, in which its cancellation and pings are found: some of either, or a small request
/// and one of them behind it.
pub const MEANWHILE: usize = 256;

/// Most bytes of a body that are skipped because they do not fit, so that the connection survives. More are not waited for.
pub const SKIPPED: usize = 64 * 1024;

/// Most digits of the size of a chunk, zeros in front included: 256 MiB, far more than any body that is taken.
pub const CHUNK_DIGITS: u8 = 7;

/// Most bytes of an extension of a chunk, and of all that stands behind the last chunk. Both are thrown away.
pub const CHUNK_WORDS: u8 = 128;

/// Longest id of a request, in bytes as it was written, under which a call of a legacy client can be cancelled: the ids of SDKs
/// are numbers or UUIDs, and the table of running calls keeps each.
pub const REQUEST_ID: usize = 64;

/// Most questions that a call may ask a legacy client at once: one bit each in the table of running calls.
pub const QUESTIONS: usize = 32;

/// Most messages in a batch (MCP 2025-03-26 basic/index): a batch is one request to whoever counts requests.
pub const BATCH: usize = 32;

/// Characters of a session id: Base64 of 63 bytes.
pub const SESSION_ID: usize = 84;

/// Seconds for which a session id is good: a working day and the night behind it. Afterwards its client begins anew, which the
/// protocol tells it with 404.
pub const SESSION_LIFE: u64 = 24 * 60 * 60;

/// Seconds by which the clocks of an issuer and of this server may differ, unless the policy says otherwise. Machines that keep
/// time by NTP differ by less than one; RFC 7519 §4.1.4 asks for no more than a few minutes.
pub const LEEWAY: u64 = 60;

/// Most pairs of a broad scope and one that it includes. They are worked out in the bits of one `u64`.
pub const IMPLIED: usize = 64;

/// Smallest RSA modulus in bits (RFC 7518 §3.3: "2048 bits or larger MUST be used").
pub const RSA_BITS: usize = 2048;

/// Largest RSA modulus in bits. A signature of 4096 bits takes four times as long to check as one of 2048.
pub const RSA_MAX_BITS: usize = 4096;

/// Most bytes of the claims of a token that a device remembers as checked; larger ones it does not take. Access tokens of common
/// issuers have 400 to 900; those of Entra ID, of up to 2.2 KB with a signature by RSA, 1,350.
pub const CLAIMS: usize = 1408;

/// Seconds by which a certain time must be newer than the last one in the journal of a device. Four notes an hour wear out a sector of
/// 4 KiB, of 100,000 erasures and used in turn with another, in some centuries.
pub const JOURNAL_STEP: u32 = 15 * 60;

/// Most signatures that a device checks in a burst, for all callers together.
pub const SIGNATURES: u64 = 4;

/// Milliseconds after which a device may check one more signature: two a second, because nothing else runs meanwhile.
pub const SIGNATURE_MS: u64 = 500;

/// Most signatures that a device checks in a burst for one address, so that one caller cannot use up those of all.
pub const SIGNATURES_EACH: u64 = 3;

/// Milliseconds after which an address may have one more signature checked: half the rate of all callers.
pub const SIGNATURE_EACH_MS: u64 = 1000;

/// Addresses whose token buckets a device remembers. A bucket is full again after three seconds, in which at most ten signatures
/// are checked; so only full ones are ever replaced.
pub const SIGNATURE_ADDRESSES: usize = 10;

/// Most significant digits of a floating-point number. No format prints more than 17, and decimal types of other languages 28 or 34;
/// with this many the number is still read exactly before it is rounded.
pub const FLOAT_DIGITS: usize = 40;

/// Deepest nesting of brackets in arguments that serde reads: serde-json-core recurses over what it skips, and a task of a device has
/// a few kilobytes of stack.
pub const SERDE_DEPTH: u32 = 8;
