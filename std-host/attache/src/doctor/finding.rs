//! The findings of `attache doctor`: their codes, what is right, and the remedy.

use core::fmt;
use serde::Serialize;

/// The effect of a finding on clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Severity {
    /// Clients cannot use the server.
    Error,
    /// Some clients cannot use the server, or use it badly.
    Warning,
}

macro_rules! findings {
    ($($code:literal $name:ident $severity:ident: $right:literal, $remedy:literal;)*) => {
        /// A kind of mistake. Its code never changes; `docs/doctor.md` has a section for each.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(super) enum Code {
            $($name,)*
        }

        impl Code {
            #[cfg(test)]
            pub(super) const ALL: &[Self] = &[$(Self::$name,)*];

            pub(super) const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $code,)*
                }
            }

            pub(super) const fn severity(self) -> Severity {
                match self {
                    $(Self::$name => Severity::$severity,)*
                }
            }

            /// The behaviour that a client expects.
            pub(super) const fn right(self) -> &'static str {
                match self {
                    $(Self::$name => $right,)*
                }
            }

            /// The remedy.
            pub(super) const fn remedy(self) -> &'static str {
                match self {
                    $(Self::$name => $remedy,)*
                }
            }
        }
    };
}

findings! {
    // Address and connection.
    "plain-http" PlainHttp Error:
        "Clients send credentials over https only, except to this machine.",
        "Serve TLS (tls.cert_file, tls.key_file), or put a proxy with TLS in front, and give clients the https URL.";
    "name-not-found" NameNotFound Error:
        "The name of the server has an address.",
        "Correct the name, or add its record to DNS.";
    "not-reachable" NotReachable Error:
        "The server accepts connections.",
        "Start the server, and open its port in firewalls. If it listens on 127.0.0.1, only this machine reaches it: set listen.";
    "no-answer" NoAnswer Error:
        "The server answers within three seconds.",
        "Read the log of the server and of the proxies in front of it: one of them waits.";
    "not-http" NotHttp Error:
        "The server speaks HTTP at this port.",
        "Correct the scheme and the port of the URL: a TLS port needs https.";
    "tls-not-spoken" TlsNotSpoken Error:
        "The server speaks TLS at this port.",
        "Correct the scheme and the port of the URL: a port without TLS needs http.";
    "certificate-untrusted" CertificateUntrusted Error:
        "The certificate leads to an authority that this machine trusts, and the server sends the intermediate certificates.",
        "Put the whole chain into the certificate file. For an authority of your own, name its file with --ca; each client needs it, too.";
    "certificate-expired" CertificateExpired Error:
        "The certificate is valid now.",
        "Renew the certificate and reload the server (SIGHUP). If it is new, correct the clock of this machine.";
    "certificate-other-name" CertificateOtherName Error:
        "The certificate names the host of the URL.",
        "Use the name in the certificate, or get a certificate for this name.";
    "clock-differs" ClockDiffers Warning:
        "The clocks of server and client differ by less than a minute.",
        "Synchronize the clock (NTP): tokens are refused as expired or as not yet valid.";

    // The answer without a credential.
    "redirected" Redirected Error:
        "The URL of the server answers by itself. Clients do not send a credential or a POST to another place.",
        "Give clients the URL that the redirect names, or stop the redirect.";
    "sign-in-page" SignInPage Error:
        "A caller without a credential gets 401. MCP clients cannot use a sign-in page.",
        "Set auth.unauthenticated to 401 (platform file: unauthenticatedClientAction = Return401).";
    "not-found" NotFound Error:
        "The path of the URL is that of an MCP server.",
        "Correct the path. The usual ones are /mcp and /runtime/webhooks/mcp.";
    "not-mcp" NotMcp Error:
        "The server answers JSON-RPC to a POST.",
        "Correct the URL: another program, or a page of a proxy, answers there.";
    "server-error" ServerError Error:
        "The server answers without a failure of its own.",
        "Read the log of the server. A 502, 503 or 504 comes from a proxy that does not reach it.";
    "answer-too-large" AnswerTooLarge Error:
        "Answers and documents have less than 256 KiB.",
        "Correct the URL: what answers there is probably not an MCP server.";
    "unprotected" Unprotected Warning:
        "A server that other machines reach asks callers for a credential.",
        "Set auth.issuer or auth.keys_file; see docs/authorization.md.";
    "forbidden-not-unauthorized" ForbiddenNotUnauthorized Error:
        "A caller without a credential gets 401. Clients do not start to sign in at 403.",
        "Set auth.unauthenticated to 401 (platform file: Return401). If a proxy or a firewall answers, let it pass this path.";
    "challenge-missing" ChallengeMissing Error:
        "A 401 has the header WWW-Authenticate with a Bearer challenge (RFC 9110).",
        "Let proxies pass the header on. If the server takes keys only, give one with --key.";
    "challenge-malformed" ChallengeMalformed Error:
        "Parameters of a challenge are separated by commas, and their values are quoted (RFC 9110).",
        "Correct the server that writes the header; strict clients refuse it.";
    "challenge-not-bearer" ChallengeNotBearer Error:
        "The challenge has the scheme Bearer.",
        "MCP clients sign in by OAuth only: let a gate with tokens answer instead of Basic or Negotiate.";
    "challenge-without-metadata" ChallengeWithoutMetadata Warning:
        "The challenge has the parameter resource_metadata (RFC 9728).",
        "Some clients look nowhere else. On the platform, set WEBSITE_AUTH_PRM_DEFAULT_WITH_SCOPES.";
    "challenge-metadata-relative" ChallengeMetadataRelative Error:
        "resource_metadata is an absolute URL.",
        "Set the public URL of the server (auth.resource), so that it can write absolute URLs.";

    // Protected-resource metadata.
    "metadata-missing" MetadataMissing Error:
        "/.well-known/oauth-protected-resource followed by the path of the server has a document (RFC 9728).",
        "Let proxies pass /.well-known/ to the server.";
    "metadata-protected" MetadataProtected Error:
        "The metadata is readable without a credential.",
        "Exclude /.well-known/ from authentication in proxies and gateways.";
    "metadata-malformed" MetadataMalformed Error:
        "The metadata is a JSON object.",
        "Correct the server. If a page of HTML comes, a proxy or a single-page app answers instead of it.";
    "metadata-contradicts" MetadataContradicts Warning:
        "All places of the metadata have the same document.",
        "Let one server answer all places: clients differ in the place they read.";
    "metadata-without-cors" MetadataWithoutCors Warning:
        "The metadata has access-control-allow-origin, so that clients in a browser can read it.",
        "Let the server or the proxy add access-control-allow-origin: *.";
    "resource-missing" ResourceMissing Error:
        "The metadata has the member resource.",
        "Set the public URL of the server (auth.resource).";
    "resource-trailing-slash" ResourceTrailingSlash Error:
        "resource is the URL that clients use, letter by letter.",
        "Add or remove the slash at the end of auth.resource or of the URL in the client: strict clients compare letter by letter.";
    "resource-scheme" ResourceScheme Error:
        "resource has the scheme of the URL that clients use.",
        "The server does not know that a proxy serves https for it: set auth.resource, or trust the proxy's X-Forwarded-Proto.";
    "resource-host" ResourceHost Error:
        "resource has the host of the URL that clients use.",
        "A proxy in front has another name: set auth.resource to the public URL, or trust the proxy's X-Forwarded-Host.";
    "resource-path" ResourcePath Error:
        "resource has the path of the URL that clients use.",
        "If a proxy rewrites the path, set auth.resource to the public URL.";
    "issuer-missing" IssuerMissing Error:
        "The metadata names an authorization server.",
        "Set auth.issuer.";
    "scopes-missing" ScopesMissing Warning:
        "The metadata or the challenge names the scopes to request.",
        "Set auth.scopes (platform: WEBSITE_AUTH_PRM_DEFAULT_WITH_SCOPES); otherwise clients request none.";
    "scope-prefix-differs" ScopePrefixDiffers Error:
        "Microsoft Entra ID accepts the resource of a request only if the scope begins with it.",
        "Requests fail with AADSTS9010010. Make the URL of the server an identifier URI of the app, and request <URL>/<scope>; or set [auth.server], which sends Entra no resource.";
    "scope-unqualified" ScopeUnqualified Warning:
        "Scopes of Microsoft Entra ID are written with the identifier URI of the app in front.",
        "A short scope is looked for in Microsoft Graph (AADSTS650053): publish the full scope.";

    // The authorization server.
    "issuer-malformed" IssuerMalformed Error:
        "The URL of an authorization server is https, or is on this machine, as the server is.",
        "Correct auth.issuer.";
    "issuer-forbidden" IssuerForbidden Error:
        "A server that others reach names addresses that others reach.",
        "Replace the address of this machine in the documents by a public name. The doctor did not connect there.";
    "issuer-unreachable" IssuerUnreachable Error:
        "The authorization server answers.",
        "Start it, or correct auth.issuer. The server itself must reach it, too.";
    "issuer-metadata-missing" IssuerMetadataMissing Error:
        "The authorization server has metadata at one of the three well-known places (RFC 8414, OpenID Connect).",
        "Correct auth.issuer: it is often too short or too long by one part of its path.";
    "issuer-differs" IssuerDiffers Error:
        "The metadata names the issuer by which it was found, letter by letter (RFC 8414).",
        "Write auth.issuer as the metadata does, with or without the slash at its end.";
    "issuer-many-tenants" IssuerManyTenants Warning:
        "The authorization server is that of one tenant.",
        "Replace common, organizations or consumers by the id of the tenant: clients guess a wrong tenant, and their brokers refuse it.";
    "issuer-v1" IssuerV1 Error:
        "The issuer of Microsoft Entra ID is https://login.microsoftonline.com/<tenant>/v2.0.",
        "Add /v2.0 to auth.issuer, and set requestedAccessTokenVersion to 2 in the manifest of the app.";
    "endpoint-missing" EndpointMissing Error:
        "The metadata has an authorization endpoint and a token endpoint, on https.",
        "Enable the authorization code flow at the authorization server.";
    "pkce-missing" PkceMissing Error:
        "The metadata lists S256 in code_challenge_methods_supported.",
        "Enable PKCE at the authorization server: MCP clients refuse to continue without it.";
    "registration-missing" RegistrationMissing Warning:
        "Clients can register themselves, by a client metadata document or dynamically.",
        "Give clients a client id by hand (attache mcp-json), or set [auth.server], which registers clients in front of this issuer.";
    "keys-missing" KeysMissing Error:
        "jwks_uri has the keys that verify tokens.",
        "Make the keys of the authorization server readable.";

    // A token.
    "token-malformed" TokenMalformed Error:
        "The access token is a signed JWT.",
        "Request a token for this server: an opaque token is for another API, such as Microsoft Graph or userinfo.";
    "token-expired" TokenExpired Error:
        "The token has not expired.",
        "Get a new one. If it is new, correct the clock.";
    "token-not-yet-valid" TokenNotYetValid Error:
        "The token is valid now.",
        "Correct the clock of the machine that checks it.";
    "token-v1" TokenV1 Error:
        "The token has version 2.0.",
        "Set requestedAccessTokenVersion to 2 in the manifest of the app that is the server.";
    "token-other-tenant" TokenOtherTenant Error:
        "The token comes from the tenant of the authorization server.",
        "Sign in at the tenant that the server trusts, or allow the other tenant (auth.tenants).";
    "token-other-issuer" TokenOtherIssuer Error:
        "The token comes from an authorization server that the metadata names.",
        "Get the token from that server.";
    "token-audience-guid" TokenAudienceGuid Error:
        "The audience of the token is one that the server accepts.",
        "The audience is the client id of the app, not its URI: add the id to auth.audiences.";
    "token-audience-uri" TokenAudienceUri Error:
        "The audience of the token is one that the server accepts.",
        "The audience is the identifier URI of the app, not its URL: add the URI to auth.audiences.";
    "token-other-audience" TokenOtherAudience Error:
        "The token is for this server.",
        "Request it for this server: send its URL as resource, or a scope of its app.";
    "token-is-id-token" TokenIsIdToken Error:
        "The token is an access token.",
        "Send the access_token of the answer, not its id_token.";
    "token-key-unknown" TokenKeyUnknown Error:
        "The authorization server publishes the key that has signed the token.",
        "Get a token from this authorization server; a token of another environment has another key.";
    "token-signature-wrong" TokenSignatureWrong Error:
        "The signature of the token is right.",
        "Get a new token: this one was changed, or was signed by another server.";
    "token-scope-missing" TokenScopeMissing Error:
        "The token has the scopes that the server asks for.",
        "Request the scope, and consent to it.";
    "token-refused" TokenRefused Error:
        "The server accepts the token.",
        "Run `attache token explain` with the configuration of the server: it names the rule.";
    "caller-forbidden" CallerForbidden Error:
        "The client and the person of the token are allowed.",
        "Add the client to auth.applications (platform: allowedApplications), and the person to the allowed identities or groups.";
    "client-not-allowed" ClientNotAllowed Error:
        "The client of the token is in the allow-list of the configuration.",
        "Add its id to auth.applications (platform: allowedApplications).";
    "client-not-preauthorized" ClientNotPreauthorized Warning:
        "The allow-list has Visual Studio Code, aebc6443-996d-45c2-90f0-388ff96faa56.",
        "Add it to auth.applications, and to the authorized client applications of the API at Entra ID; otherwise people are asked for a consent that many tenants refuse (AADSTS65001).";
    "key-refused" KeyRefused Error:
        "The server accepts the key.",
        "Use a key of this server (attache key list).";

    // The protocol.
    "protocol-malformed" ProtocolMalformed Error:
        "The server answers with JSON-RPC 2.0 and the id of the request.",
        "Update the SDK of the server.";
    "probe-fails" ProbeFails Warning:
        "A server of an older revision answers a request of 2026-07-28 with a 4xx status or a JSON-RPC error.",
        "Update the server, or put `attache gate` in front: new clients take a failure for an outage.";
    "revision-old" RevisionOld Warning:
        "The server speaks revision 2026-07-28.",
        "Update the server, or put `attache gate` in front of it, which speaks all revisions.";
    "ttl-missing" TtlMissing Warning:
        "Lists of revision 2026-07-28 have ttlMs and cacheScope.",
        "Update the server, or put `attache gate` in front: some clients drop all tools of a list without them.";
    "session-affinity" SessionAffinity Error:
        "All requests of a session reach the process that knows the session.",
        "Enable session affinity at the load balancer, run one replica, or share sessions between replicas (seal.key_file).";
    "session-unauthorized" SessionUnauthorized Warning:
        "An unknown session is answered with 404.",
        "Update the server: a 401 sends people to sign in again each time the server restarts.";
    "stream-buffered" StreamBuffered Error:
        "The beginning of a stream arrives at once.",
        "Switch off buffering and compression of text/event-stream in proxies and CDNs (nginx: proxy_buffering off).";
    "stream-compressed" StreamCompressed Warning:
        "Streams are not compressed.",
        "Exclude text/event-stream from compression in proxies and CDNs: they hold events back until a block is full.";

    // Browsers.
    "preflight-challenged" PreflightChallenged Warning:
        "A preflight (OPTIONS) is answered without a credential.",
        "Exclude OPTIONS from authentication in proxies and gateways.";
    "preflight-headers" PreflightHeaders Warning:
        "The preflight allows authorization, content-type and mcp-protocol-version.",
        "Add them to access-control-allow-headers.";
    "headers-not-exposed" HeadersNotExposed Warning:
        "WWW-Authenticate and Mcp-Session-Id are readable for clients in a browser.",
        "Add them to access-control-expose-headers.";

    // The configuration.
    "configuration-invalid" ConfigurationInvalid Error:
        "The configuration is valid.",
        "Run `attache check`.";
    "configuration-other-resource" ConfigurationOtherResource Error:
        "The server publishes the public URL of the configuration.",
        "Reload or restart the server, or correct the file: the running server has another configuration.";
    "configuration-other-issuer" ConfigurationOtherIssuer Error:
        "The server publishes the issuer of the configuration.",
        "Reload or restart the server, or correct the file: the running server has another configuration.";
    "gave-up" GaveUp Error:
        "The examination ends within 25 seconds.",
        "The server delays each answer: read its log, and run the doctor again.";
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
