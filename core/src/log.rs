//! The log of a device: `defmt`, `log`, or nothing. A driver says there whom it has refused, cut or denied and why, never a token
//! or a key.

/// Says why somebody was refused, cut or denied: a text with `{}` in it, and what stands there, which has `Display` and `Format`.
#[cfg(feature = "embassy")]
macro_rules! told {
    ($text:literal $(, $value:expr)* $(,)?) => {{
        #[cfg(feature = "log")]
        ::log::warn!($text $(, $value)*);
        #[cfg(all(feature = "defmt", not(feature = "log")))]
        ::defmt::warn!($text $(, $value)*);
        #[cfg(not(any(feature = "defmt", feature = "log")))]
        { $( let _ = &$value; )* }
    }};
}

/// `Format` of types whose insides are nobody's affair, or cannot be written: their names.
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

/// A derived `Format` holds where its fields have one. This does not compile where one of them has none.
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
    has::<crate::era::Carrier<'_>>();
    has::<crate::exchange::Emission<'_>>();
    has::<crate::exchange::Inflight>();
    has::<crate::exchange::Next>();
    has::<crate::exchange::Origin<'_>>();
    has::<crate::exchange::Sessions>();
    has::<crate::http::Door<'_>>();
    has::<crate::http::Facts<'_>>();
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
    has::<crate::rpc::Section<'_>>();
    has::<crate::tool::ArgumentError<'_>>();
    has::<crate::tool::Asides<'_>>();
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
    has::<(crate::embassy::Endpoint<'_, 1>, crate::embassy::Socket<1, 1, 1>)>();
    #[cfg(feature = "http1")]
    has::<(crate::http1::Heads<'_>, crate::http1::Request<'_>)>();
};
