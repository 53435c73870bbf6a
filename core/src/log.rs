//! The log of a device, through `defmt` or `log`, or none. Drivers log each peer that they refuse,
//! cut off or deny, with the reason; they never log a token or a key.

/// Logs a warning about a refused, cut off or denied peer: a format text with `{}`, and values that
/// implement `Display` and `Format`.
#[cfg(feature = "embassy")]
macro_rules! warning {
    ($text:literal $(, $value:expr)* $(,)?) => {{
        #[cfg(feature = "log")]
        ::log::warn!($text $(, $value)*);
        #[cfg(all(feature = "defmt", not(feature = "log")))]
        ::defmt::warn!($text $(, $value)*);
        #[cfg(not(any(feature = "defmt", feature = "log")))]
        { $( let _ = &$value; )* }
    }};
}

/// Implements `Format` as the bare type name, for types with private contents or with fields that
/// have no `Format`.
#[cfg(feature = "defmt")]
macro_rules! names {
    ($( [$($generic:tt)*] $type:ty => $name:literal; )+) => { $(
        impl<$($generic)*> defmt::Format for $type {
            fn format(&self, f: defmt::Formatter<'_>) {
                defmt::write!(f, $name);
            }
        }
    )+ };
}

#[cfg(feature = "defmt")]
names! {
    [] crate::auth::Bearer<'_> => "Bearer(..)";
    [S] crate::auth::Candidate<'_, '_, S> => "Candidate";
    [] crate::auth::Claimed<'_> => "Claimed";
    [] crate::auth::Shown<'_> => "Shown(..)";
    [B] crate::auth::Verified<B> => "Verified";
    [S] crate::auth::ApiKey<S> => "ApiKey";
    [] crate::mcp::Server<'_> => "Server";
    [] crate::tool::Block<'_> => "Block";
    [] crate::tool::Caller<'_> => "Caller";
    [] crate::tool::Output<'_> => "Output";
    [] crate::tool::Streaming<'_> => "Streaming";
    [] crate::tool::TextBlock<'_> => "TextBlock";
}

#[cfg(all(feature = "defmt", feature = "embassy"))]
names! {
    [const URIS: usize] crate::embassy::Changes<URIS> => "Changes";
}

#[cfg(all(feature = "defmt", feature = "embassy-net"))]
names! {
    [] crate::embassy::Guard<'_> => "Guard";
    [] crate::embassy::WallClock => "WallClock";
}

/// Checks at compile time that these types implement `Format`. A derived `Format` applies only if
/// all fields implement it, so a field without it would otherwise go unnoticed.
#[cfg(feature = "defmt")]
const _: () = {
    const fn has<T: defmt::Format>() {}
    has::<crate::auth::ApiKey>();
    has::<crate::auth::Authenticated<'_>>();
    has::<crate::auth::Bearer<'_>>();
    has::<crate::auth::Claims<'_>>();
    has::<crate::auth::Denied<'_>>();
    has::<crate::auth::Jwk<'_>>();
    has::<crate::auth::Need<'_>>();
    has::<crate::auth::Rules<'_>>();
    has::<crate::auth::Verified<()>>();
    has::<crate::exchange::Carrier<'_>>();
    has::<crate::exchange::Emission<'_>>();
    has::<crate::exchange::Inflight>();
    has::<crate::exchange::Next>();
    has::<crate::exchange::Carrier<'_>>();
    has::<crate::exchange::Sessions>();
    has::<crate::http::Door<'_>>();
    has::<crate::http::HeadFacts<'_>>();
    has::<crate::http::Policy<'_>>();
    has::<crate::http::Resource<'_>>();
    has::<crate::http::Unverified<'_>>();
    has::<crate::json::Base64<'_>>();
    has::<crate::json::Escaped<'_>>();
    has::<crate::json::Part<'_>>();
    has::<crate::json::Reader<'_>>();
    has::<crate::json::Slice<'_>>();
    has::<crate::json::Text<'_>>();
    has::<crate::json::Value<'_>>();
    has::<crate::line::Cut<'_>>();
    has::<crate::line::Lines<'_>>();
    has::<crate::rpc::Window<'_>>();
    has::<crate::tool::ArgumentError<'_>>();
    has::<crate::tool::RequestMeta<'_>>();
    has::<crate::tool::Call<'_>>();
    has::<crate::tool::Completing<'_>>();
    has::<crate::tool::Contents<'_, '_>>();
    has::<crate::tool::Entry<'_>>();
    has::<crate::tool::Messages<'_, '_>>();
    has::<crate::tool::Mirror<'_>>();
    has::<crate::tool::Read<'_>>();
    has::<crate::tool::Tables<'_>>();
    has::<crate::tool::Values<'_, '_>>();
    #[cfg(feature = "embassy")]
    has::<crate::embassy::LineBuffers<1, 1, 1>>();
    #[cfg(feature = "embassy-net")]
    has::<(crate::embassy::Endpoint<'_, 1>, crate::embassy::SocketBuffers<1, 1, 1>)>();
    #[cfg(feature = "http1")]
    has::<(crate::http1::Heads<'_>, crate::http1::Request<'_>)>();
};
