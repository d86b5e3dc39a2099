//! What the pipeline is told: plain data, already checked for form, not yet compiled.
//!
//! `config` makes it from a file, an embedder writes it down, and [`crate::Pipeline`] compiles it
//! into what requests read. Durations are bounds on one attempt unless said otherwise.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderName, HeaderValue};
use secrecy::SecretString;
use weighbridge_access::{Budget, Cidr, Limits, LossPolicy, ModelPattern, TenantName};
use weighbridge_catalogue::{AuthStyle, Preset, Spoken};
pub use weighbridge_routing::LatencyOf;
use weighbridge_routing::{Labels, Rule};
use weighbridge_transport::{Issued, Signer};
use weighbridge_units::Charges;

mod failover;

pub use failover::{
    FailoverSettings, HEDGES_MOST, HealthSettings, HedgeAfter, HedgeSettings, ProbeSettings, SHADOWS_MOST,
    ShadowSettings,
};

/// The most budgets that a provider or a model may have.
pub const BUDGETS_BESIDE: usize = 2;

/// Everything that a [`crate::Pipeline`] is told at start and at each reload.
#[derive(Clone, Default)]
pub struct Settings {
    /// Providers, by unique name.
    pub providers: Vec<ProviderSettings>,
    /// Names that clients may ask for, beside `provider/model`, which always works.
    pub routes: Vec<RouteSettings>,
    /// How much may be used per period by all that passes, at most [`Budget::MOST`].
    pub budgets: Vec<Budget>,
    /// What tenants pay beside the provider's cost; see [`Markup`].
    pub markups: Vec<Markup>,
    /// What tenants owe for requests on keys of their own: as mark-ups, but instead of the provider's cost. Of
    /// nobody, nothing.
    pub surcharges: Vec<Markup>,
    /// How far a provider's counts of tokens and our estimates may lie apart; `None` compares nothing.
    pub count_alarm: Option<CountAlarm>,
    /// Bounds on what a request may take.
    pub limits: RequestLimits,
    /// What happens when a translation loses something and neither key nor request says.
    pub loss_policy: LossPolicy,
    /// What happens to a model that the price book does not know.
    pub unknown_model: UnknownModel,
    /// Whether answers of OpenAI Responses are kept.
    pub answer_keeping: AnswerKeeping,
    /// What happens to requests with an idempotency key.
    pub idempotency: IdempotencySettings,
    /// Proxies whose forwarding headers are believed.
    pub trusted_proxies: Vec<Cidr>,
    /// How long a client of a stream may hear nothing behind the commit point, before it is sent a sign of
    /// life in its own protocol; `None` sends none.
    pub keep_alive: Option<Duration>,
    /// What happens to an attempt whose client leaves, where its route does not say.
    pub on_disconnect: OnDisconnect,
    /// Bounds on attempts that go on without their clients.
    pub drain: DrainLimits,
    /// What must hold wherever requests of some keys and tenants go.
    pub residency: Vec<ResidencyRule>,
}

/// What must hold wherever a request goes. Of several that concern a request all hold.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ResidencyRule {
    /// Public ids of the keys whose requests are meant.
    pub keys: Vec<Arc<str>>,
    /// Organisations and teams whose requests are meant, those of teams in them included. Where neither keys nor
    /// tenants are named, all are meant.
    pub tenants: Vec<Arc<str>>,
    /// Labels that a provider must have to be sent anything of theirs.
    pub require: Labels,
}

/// What a request on the installation's credentials costs beside the provider's cost.
///
/// Of those that fit a request the closest holds, alone: a team's before its organisation's before everybody's; and
/// for one tenant, that for a whole name of a model before that for its beginning before that for all. What the
/// store says of a tenant itself ([`Tenant::markup`](weighbridge_access::Tenant::markup)) goes before what is said
/// here of that tenant for all models.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Markup {
    /// Whose requests, those of a team's included; `None` is everybody's.
    pub tenant: Option<TenantName>,
    /// For which model, by the name that clients send; `None` is any.
    pub model: Option<ModelPattern>,
    /// What is added.
    pub charges: Charges,
}

/// From where on a provider's count of tokens and our estimate from bytes disagree: the larger is more than `ratio`
/// times the smaller, and at least `minimum` tokens lie between them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CountAlarm {
    /// At least 2.
    pub ratio: u64,
    /// Tokens.
    pub minimum: u64,
}

impl Default for CountAlarm {
    /// Four times, and 5,000 tokens.
    ///
    /// We take four bytes for a token. Tokenisers in use take 1 to 2 bytes of text that they know nothing of (random
    /// letters, rare scripts), about 3 of Chinese or Japanese, 3 to 5 of prose and code, and up to 8 where much
    /// repeats: all within a factor of four. What providers add to a prompt for tools, at most 4,096 tokens, is less than the
    /// minimum.
    fn default() -> Self {
        Self { ratio: 4, minimum: 5_000 }
    }
}

/// What happens to an attempt whose client leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum OnDisconnect {
    /// It is cancelled at the provider; usage that was not told is estimated.
    #[default]
    Cancel,
    /// A job reads its answer to the end, for the exact usage.
    Drain,
}

/// What happens to requests with an idempotency key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IdempotencySettings {
    /// Whether the header is looked at.
    pub enabled: bool,
    /// For how long what asks for the same under a key gets the same answer.
    pub window: Duration,
    /// The largest answer that is kept for it, in bytes.
    pub max_body: usize,
}

impl Default for IdempotencySettings {
    fn default() -> Self {
        Self { enabled: true, window: Duration::from_secs(86_400), max_body: 8 << 20 }
    }
}

/// Bounds on attempts that go on without their clients. What is beyond them is cancelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DrainLimits {
    /// Longest time for which one goes on.
    pub time: Duration,
    /// How many go on at once.
    pub most: usize,
}

impl Default for DrainLimits {
    fn default() -> Self {
        Self { time: Duration::from_secs(60), most: 256 }
    }
}

/// One provider.
#[derive(Clone)]
pub struct ProviderSettings {
    /// The name in configuration, headers, metrics and the ledger.
    pub name: Arc<str>,
    /// What it speaks, best first. A client of one of these protocols is served in it; others are
    /// translated to the first that serves the model.
    pub spoken: Vec<Spoken>,
    /// Scheme, authority and path prefix, such as `https://api.openai.com/v1`, without final slash.
    pub base_url: String,
    /// Where a key goes.
    pub auth: AuthStyle,
    /// Platform-owned credentials; the next one is taken when one is refused.
    pub credentials: Vec<ProviderCredential>,
    /// Headers sent with every request, such as `anthropic-version`.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// The provider's name in the price book.
    pub price_as: Arc<str>,
    /// Bounds on one attempt.
    pub timeouts: Timeouts,
    /// How the health of its models is judged.
    pub health: HealthSettings,
    /// What each of its models may be asked at once and per minute. A target without room is passed over.
    pub limits: Limits,
    /// How much may be used of it per period, at most [`BUDGETS_BESIDE`].
    pub budgets: Vec<Budget>,
    /// What holds there: where it is, which rules it keeps to. What is demanded and not said here is not met.
    pub labels: Labels,
    /// What becomes of native calls to it.
    pub native: NativeCalls,
    /// Paths below the base URL that native calls may go to, and to what is below them; empty for all.
    pub native_paths: Vec<String>,
}

impl ProviderSettings {
    /// What a preset says, at an address, without credentials; and all else as where nothing is said.
    pub fn of(preset: &Preset, base_url: impl Into<String>) -> Self {
        // The catalogue's headers are written by us, and its tests read them.
        let header = |(name, value): &(&'static str, &'static str)| {
            Some((HeaderName::from_bytes(name.as_bytes()).ok()?, HeaderValue::from_str(value).ok()?))
        };
        Self {
            name: preset.name.into(),
            spoken: preset.spoken.to_vec(),
            base_url: base_url.into(),
            auth: preset.auth,
            credentials: Vec::new(),
            headers: preset.headers.iter().filter_map(header).collect(),
            price_as: preset.price_as.unwrap_or(preset.name).into(),
            timeouts: Timeouts::default(),
            health: HealthSettings::default(),
            limits: Limits::NONE,
            budgets: Vec::new(),
            labels: Labels::default(),
            native: NativeCalls::default(),
            native_paths: Vec::new(),
        }
    }
}

/// What becomes of native calls, by keys that may make them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum NativeCalls {
    /// They are passed on; those of which nobody knows what they cost only where no budget of money or tokens counts
    /// them.
    #[default]
    Metered,
    /// They are passed on, whatever they cost.
    Unmetered,
    /// There are none.
    Off,
}

/// A credential, and how much it is used beside the others of its provider.
#[derive(Clone)]
pub struct ProviderCredential {
    /// What it is.
    pub proof: CredentialProof,
    /// Its share of the requests, among the weights of all. One of weight 0 is used for want of anything better.
    pub weight: u32,
}

/// What proves to a provider who is asking.
#[derive(Clone)]
pub enum CredentialProof {
    /// A key, where the provider's [`AuthStyle`] says.
    Key(SecretString),
    /// A signature on each request.
    Signature {
        /// What signs.
        signer: Signer,
        /// What it signs with: to be taken out of what the provider says.
        secrets: Vec<SecretString>,
    },
    /// What somebody issues for a while, such as an access token.
    Issued {
        /// Who keeps it, and has it renewed.
        issued: Issued,
        /// What the issuer is shown for it: to be taken out of what the provider says.
        secrets: Vec<SecretString>,
    },
}

impl ProviderCredential {
    /// A key, of weight 1.
    pub fn key(key: impl Into<SecretString>) -> Self {
        CredentialProof::Key(key.into()).into()
    }
}

impl From<CredentialProof> for ProviderCredential {
    /// Of weight 1.
    fn from(proof: CredentialProof) -> Self {
        Self { proof, weight: 1 }
    }
}

/// Bounds on one attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// To connect, TLS included.
    pub connect: Duration,
    /// From the request to the head of the answer and its first byte.
    pub first_byte: Duration,
    /// From the request to the first content of a streamed answer: whoever is slower is given up for the
    /// next target. `None` leaves it to the other bounds.
    pub first_token: Option<Duration>,
    /// Between two pieces of an answer.
    pub idle: Duration,
    /// For the whole attempt.
    pub total: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            first_byte: Duration::from_secs(60),
            first_token: None,
            idle: Duration::from_secs(60),
            total: Duration::from_secs(600),
        }
    }
}

/// A name that clients ask for, and what stands behind it.
#[derive(Debug, Clone)]
pub struct RouteSettings {
    /// The name in requests.
    pub name: Arc<str>,
    /// How one of the targets is chosen.
    pub strategy: StrategySettings,
    /// Equals, among which the strategy chooses.
    pub targets: Vec<TargetSettings>,
    /// Tried in order once no target is left.
    pub fallbacks: Vec<TargetSettings>,
    /// The model that requests are compared with: what they would have cost there is noted beside what they cost.
    pub baseline: Option<TargetSettings>,
    /// What follows failures and delays of the targets.
    pub failover: FailoverSettings,
    /// What happens to an attempt whose client leaves; `None` is what the settings say for all.
    pub on_disconnect: Option<OnDisconnect>,
    /// What may be asked under this name at once and per minute.
    pub limits: Limits,
    /// How much may be used under this name per period, at most [`BUDGETS_BESIDE`].
    pub budgets: Vec<Budget>,
    /// Further names for it, such as dated ones that clients still send.
    pub aliases: Vec<Arc<str>>,
    /// When requests go to another route instead, or are refused: the first that matches counts.
    pub rules: Vec<Rule>,
    /// Labels that a provider must have to serve requests that asked for it, wherever rules lead them.
    pub require: Labels,
}

impl RouteSettings {
    /// A name for targets, and all else as where nothing is said.
    pub fn new(name: impl Into<Arc<str>>, targets: Vec<TargetSettings>) -> Self {
        Self {
            name: name.into(),
            strategy: StrategySettings::default(),
            targets,
            fallbacks: Vec::new(),
            baseline: None,
            failover: FailoverSettings::default(),
            on_disconnect: None,
            limits: Limits::NONE,
            budgets: Vec::new(),
            aliases: Vec::new(),
            rules: Vec::new(),
            require: Labels::default(),
        }
    }
}

/// How one of several targets is chosen.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StrategySettings {
    /// In this order, each among those that the earlier ones left as equals, at most [`Route::STRATEGIES_MOST`]; behind
    /// the last stands weighted round robin.
    ///
    /// [`Route::STRATEGIES_MOST`]: weighbridge_routing::Route::STRATEGIES_MOST
    pub order: Vec<StrategyKind>,
    /// What requests have in common that [`StrategyKind::Sticky`] and [`StrategyKind::Split`] keep together.
    pub affinity: AffinityBy,
}

/// A strategy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum StrategyKind {
    /// Smooth weighted round robin.
    WeightedRoundRobin,
    /// Any, by weight.
    Random,
    /// The fastest lately.
    LeastLatency(LatencyOf),
    /// The fewest attempts in flight for its weight.
    LeastBusy,
    /// The lowest expected cost of the request.
    LowestCost,
    /// The most left of rate limits.
    Headroom,
    /// The same target for the same affinity value.
    Sticky {
        /// How long a place is remembered that is not used; `None` goes by the hash alone.
        ttl: Option<Duration>,
        /// How much of its share a target may have in flight, in percent: 100 or more.
        load_percent: u32,
    },
    /// A share of the affinity values for each.
    Split,
}

/// What an affinity value is made of. A request that lacks it has no affinity.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum AffinityBy {
    /// What the prompt begins with: system prompt and first message, or the client's own `prompt_cache_key`.
    #[default]
    Prefix,
    /// The virtual key.
    Key,
    /// The end user that the client names.
    User,
    /// A header of the request, such as a session's id.
    Header(HeaderName),
}

/// One model at one provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetSettings {
    /// The provider's name.
    pub provider: Arc<str>,
    /// The model's name at the provider.
    pub model: Arc<str>,
    /// Its share beside its equals; 0 takes it out.
    pub weight: u32,
}

/// What happens to a model that the price book does not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum UnknownModel {
    /// It is refused before dispatch.
    #[default]
    Refuse,
    /// It is served at a price of zero, flagged, to keys without a budget.
    ZeroAndFlag,
    /// It is served to keys without a budget at the price of the book's default entry
    /// ([`DEFAULT_ENTRY`](weighbridge_pricing::DEFAULT_ENTRY)); without that, it is refused.
    DefaultRate,
}

/// Whether answers of OpenAI Responses are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum AnswerKeeping {
    /// Where the client asks for it, as it does by default, and its key allows it.
    #[default]
    AsAsked,
    /// Never, nor by a provider. What was kept before can still be read and deleted.
    Never,
}

/// Bounds on what a request may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestLimits {
    /// Largest request body, in bytes.
    pub body_bytes: usize,
    /// Largest body of a native call, in bytes: it is passed on piece by piece.
    pub native_bytes: u64,
    /// Deepest nesting of a JSON body.
    pub json_depth: usize,
    /// Longest time in which a client may send its body.
    pub body_time: Duration,
    /// Largest whole answer that is held in memory, in bytes.
    pub answer_bytes: usize,
    /// Requests in the pipeline at once; more are refused with 503.
    pub open_requests: usize,
    /// What a stream may hold back before its commit point, in bytes.
    pub hold_bytes: usize,
    /// Targets that one request may try.
    pub attempts: u32,
    /// The longest `retry-after` that is waited for where no other target is left.
    pub retry_wait: Duration,
    /// Longest time in which a client may leave a ready piece of its answer unread.
    pub write_time: Duration,
}

impl Default for RequestLimits {
    fn default() -> Self {
        Self {
            body_bytes: 32 * 1024 * 1024,
            native_bytes: 512 * 1024 * 1024,
            json_depth: 128,
            body_time: Duration::from_secs(60),
            answer_bytes: 64 * 1024 * 1024,
            open_requests: 10_000,
            hold_bytes: 64 * 1024,
            attempts: 4,
            retry_wait: Duration::from_secs(1),
            write_time: Duration::from_secs(60),
        }
    }
}
