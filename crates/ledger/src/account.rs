use std::fmt;
use std::sync::Arc;

use weighbridge_units::{KeyId, Timestamp};

use crate::Measure;

/// A book. No transfer joins two of them (rule L2); each has its own hash chains.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Book {
    /// What tenants owe and paid, what providers are owed, margin, absorbed failures.
    Platform = 0,
    /// What tenants who bring their own provider keys owe for the service.
    Surcharge = 1,
    /// What each key consumed upstream, as a record.
    Usage = 2,
}

impl Book {
    /// Every book.
    pub const ALL: [Self; 3] = [Self::Platform, Self::Surcharge, Self::Usage];

    /// The name in reports.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Platform => "platform",
            Self::Surcharge => "surcharge",
            Self::Usage => "usage",
        }
    }

    /// The book of that number, as stores write it.
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|book| *book as u8 == code)
    }
}

impl fmt::Display for Book {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What an account is for. Debits make a balance positive, credits negative.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum AccountKind {
    /// How much of one budget window is used. Its limit is no part of the ledger: it comes with each hold.
    Budget = 1,
    /// The other side of every budget account; one per book.
    BudgetControl = 2,
    /// What a tenant owes: its wallet with the sign turned round.
    Receivable = 3,
    /// What tenants were charged; one per book.
    Sales = 4,
    /// Provider cost of answers that tenants pay for; one per book.
    CostOfSales = 5,
    /// Provider cost that nobody pays for, by reason.
    Absorbed = 6,
    /// What a provider is owed.
    Payable = 7,
    /// What a key consumed, at the provider's price (usage book).
    Consumed = 8,
    /// What a provider delivered, at its price (usage book).
    Upstream = 9,
    /// As [`Self::Budget`], in tokens.
    BudgetTokens = 10,
    /// As [`Self::BudgetControl`], in tokens.
    BudgetTokensControl = 11,
    /// As [`Self::Budget`], in requests.
    BudgetRequests = 12,
    /// As [`Self::BudgetControl`], in requests.
    BudgetRequestsControl = 13,
    /// What tenants paid, less what was paid back; one per book.
    Cash = 14,
    /// What tenants were given that they did not pay; one per book.
    Promotions = 15,
    /// What was put right by hand, in tenants' favour or at their expense; one per book.
    Adjustments = 16,
}

impl AccountKind {
    /// Every kind.
    pub const ALL: [Self; 16] = [
        Self::Budget,
        Self::BudgetControl,
        Self::Receivable,
        Self::Sales,
        Self::CostOfSales,
        Self::Absorbed,
        Self::Payable,
        Self::Consumed,
        Self::Upstream,
        Self::BudgetTokens,
        Self::BudgetTokensControl,
        Self::BudgetRequests,
        Self::BudgetRequestsControl,
        Self::Cash,
        Self::Promotions,
        Self::Adjustments,
    ];

    /// The name in reports.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Budget => "budget",
            Self::BudgetControl => "budget_control",
            Self::Receivable => "receivable",
            Self::Sales => "sales",
            Self::CostOfSales => "cost_of_sales",
            Self::Absorbed => "absorbed",
            Self::Payable => "payable",
            Self::Consumed => "consumed",
            Self::Upstream => "upstream",
            Self::BudgetTokens => "budget_tokens",
            Self::BudgetTokensControl => "budget_tokens_control",
            Self::BudgetRequests => "budget_requests",
            Self::BudgetRequestsControl => "budget_requests_control",
            Self::Cash => "cash",
            Self::Promotions => "promotions",
            Self::Adjustments => "adjustments",
        }
    }

    /// Whether a book has only one account of this kind, so that no entity tells it apart.
    pub const fn is_single(self) -> bool {
        matches!(
            self,
            Self::BudgetControl
                | Self::Sales
                | Self::CostOfSales
                | Self::BudgetTokensControl
                | Self::BudgetRequestsControl
                | Self::Cash
                | Self::Promotions
                | Self::Adjustments
        )
    }

    /// What accounts of this kind count.
    pub const fn measure(self) -> Measure {
        match self {
            Self::BudgetTokens | Self::BudgetTokensControl => Measure::Tokens,
            Self::BudgetRequests | Self::BudgetRequestsControl => Measure::Requests,
            _ => Measure::Usd,
        }
    }

    /// Budgets of a measure.
    pub const fn budget(measure: Measure) -> Self {
        match measure {
            Measure::Usd => Self::Budget,
            Measure::Tokens => Self::BudgetTokens,
            Measure::Requests => Self::BudgetRequests,
        }
    }

    /// The other side of all budgets of a measure.
    pub const fn budget_control(measure: Measure) -> Self {
        match measure {
            Measure::Usd => Self::BudgetControl,
            Measure::Tokens => Self::BudgetTokensControl,
            Measure::Requests => Self::BudgetRequestsControl,
        }
    }

    /// Whether these are budgets, of whatever measure.
    pub fn is_budget(self) -> bool {
        self == Self::budget(self.measure())
    }

    /// The kind of that number, as the journal writes it.
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| *kind as u8 == code)
    }
}

/// Who or what an account belongs to: 52 bits, the first of the BLAKE3 hash of a name.
///
/// The journal holds these instead of names, so that a name can be erased (from the store's table
/// of names) without touching the journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct EntityId(u64);

impl EntityId {
    const MASK: u64 = (1 << 52) - 1;

    /// The entity of accounts that a book has only one of.
    pub const NONE: Self = Self(0);

    /// From the 52 bits that [`Self::get`] gave; higher bits are ignored.
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits & Self::MASK)
    }

    /// The entity that a name stands for.
    pub fn of(name: &str) -> Self {
        Self::of_bytes(name.as_bytes())
    }

    /// The entity of a key: its own bits, which are random already.
    pub const fn of_key(key: KeyId) -> Self {
        Self::from_bits(key.get())
    }

    fn of_bytes(bytes: &[u8]) -> Self {
        let mut first = [0; 8];
        first.copy_from_slice(&blake3::hash(bytes).as_bytes()[..8]);
        Self::from_bits(u64::from_le_bytes(first))
    }

    /// The 52 bits.
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl fmt::Display for EntityId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:013x}", self.0)
    }
}

/// A name together with its [`EntityId`], hashed once: make it when configuration is loaded, clone
/// it per request.
#[derive(Clone)]
pub struct Name {
    text: Arc<str>,
    id: EntityId,
}

impl Name {
    /// Takes a name in.
    pub fn new(text: impl Into<Arc<str>>) -> Self {
        let text = text.into();
        let id = EntityId::of(&text);
        Self { text, id }
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// What the journal calls it.
    pub const fn id(&self) -> EntityId {
        self.id
    }
}

impl<T: Into<Arc<str>>> From<T> for Name {
    fn from(text: T) -> Self {
        Self::new(text)
    }
}

impl PartialEq for Name {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id && self.text == other.text
    }
}

impl Eq for Name {}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.text, f)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// An account. The number says what it is: 4 bits of book, 8 of kind, 52 of entity.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AccountId(u64);

impl AccountId {
    /// The account of `entity` of that kind in `book`. Kinds that exist once per book ignore the entity.
    pub const fn new(book: Book, kind: AccountKind, entity: EntityId) -> Self {
        let entity = if kind.is_single() { EntityId::NONE } else { entity };
        Self(((book as u64) << 60) | ((kind as u64) << 52) | entity.get())
    }

    /// The account of a number that [`Self::get`] gave; `None` where no account has it.
    pub fn from_bits(bits: u64) -> Option<Self> {
        let book = Book::from_code(u8::try_from(bits >> 60).ok()?)?;
        let kind = AccountKind::from_code(u8::try_from(bits >> 52 & 0xff).ok()?)?;
        let account = Self::new(book, kind, EntityId::from_bits(bits));
        (account.0 == bits).then_some(account)
    }

    /// The number; below 2⁶³, so that it fits a signed column.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The book that the account stands in.
    pub const fn book(self) -> Book {
        match self.0 >> 60 {
            0 => Book::Platform,
            1 => Book::Surcharge,
            _ => Book::Usage,
        }
    }

    /// What the account is for.
    pub fn kind(self) -> AccountKind {
        // Both constructors admit known kinds only.
        AccountKind::from_code((self.0 >> 52 & 0xff) as u8).unwrap_or(AccountKind::BudgetControl)
    }

    /// Whose account it is.
    pub const fn entity(self) -> EntityId {
        EntityId::from_bits(self.0)
    }

    /// What the account counts.
    pub fn measure(self) -> Measure {
        self.kind().measure()
    }

    /// The budget of the same scope and window that counts in another measure. It is an account of its own:
    /// one window may be bounded in several measures at once.
    ///
    /// ```
    /// use weighbridge_ledger::{Book, BudgetScope, BudgetWindow, Measure, budget_account};
    ///
    /// let money = budget_account(Book::Platform, BudgetScope::Installation, BudgetWindow::Total);
    /// let tokens = money.counting(Measure::Tokens);
    /// assert_eq!((money.measure(), tokens.measure()), (Measure::Usd, Measure::Tokens));
    /// assert_eq!(tokens.counting(Measure::Usd), money);
    /// ```
    #[must_use]
    pub fn counting(self, measure: Measure) -> Self {
        match self.kind().is_budget() {
            true => Self::new(self.book(), AccountKind::budget(measure), self.entity()),
            false => self,
        }
    }
}

impl fmt::Display for AccountId {
    /// `platform/receivable/0123456789abc`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.book(), self.kind().as_str())?;
        if self.kind().is_single() { Ok(()) } else { write!(f, "/{}", self.entity()) }
    }
}

impl fmt::Debug for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Whose spending a budget bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum BudgetScope<'a> {
    /// Everything that passes this installation.
    Installation,
    /// A tenant, by its path (`organisation/team`).
    Tenant(&'a str),
    /// One virtual key.
    Key(KeyId),
    /// What is asked of one provider, by its configured name.
    Provider(&'a str),
    /// What is asked for under one configured name of a model.
    Model(&'a str),
    /// Those requests of another scope that have something in common.
    Part {
        /// The scope that the requests are of.
        whole: &'a BudgetScope<'a>,
        /// What they have in common.
        part: BudgetPart<'a>,
    },
}

/// What the requests have in common that a budget counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum BudgetPart<'a> {
    /// An end user.
    User(&'a str),
    /// A model, or a pattern of models.
    Model(&'a str),
    /// A tag: its name and value.
    Tag(&'a str, &'a str),
}

/// Over which time a budget counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum BudgetWindow {
    /// A calendar month in UTC, numbered as by [`weighbridge_units::Timestamp::month`].
    Month(i32),
    /// For good.
    Total,
    /// A stretch of time that begins at an instant: a day, week or month of some time zone.
    From {
        /// How long such stretches are. A day and a week may begin at the same instant.
        period: BudgetSpan,
        /// The first instant.
        start: Timestamp,
    },
}

/// How long a [`BudgetWindow`] is, roughly: clocks change, and months differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum BudgetSpan {
    /// A calendar day.
    Day = b'd',
    /// A calendar week.
    Week = b'w',
    /// A calendar month.
    Month = b'm',
}

/// The account that counts what a scope used in a window. A request belongs to the window that it
/// arrived in (rule C7), however long it runs.
///
/// Hashes a name: whoever asks for the same account often keeps it.
///
/// ```
/// use weighbridge_ledger::{Book, BudgetScope, BudgetWindow, budget_account};
/// use weighbridge_units::{KeyId, Timestamp};
///
/// let month = Timestamp::from_date(2026, 11, 21).unwrap_or_default().month();
/// let key = BudgetScope::Key(KeyId::from_bits(7));
/// let account = budget_account(Book::Platform, key, BudgetWindow::Month(month));
/// assert_ne!(account, budget_account(Book::Platform, key, BudgetWindow::Month(month + 1)));
/// ```
pub fn budget_account(book: Book, scope: BudgetScope<'_>, window: BudgetWindow) -> AccountId {
    let mut name = Vec::with_capacity(96);
    match window {
        BudgetWindow::Month(month) => {
            name.push(b'm');
            name.extend_from_slice(&month.to_le_bytes());
        }
        BudgetWindow::Total => name.push(b't'),
        BudgetWindow::From { period, start } => {
            name.extend_from_slice(&[b'f', period as u8]);
            name.extend_from_slice(&start.as_micros().to_le_bytes());
        }
    }
    write_scope(scope, &mut name);
    AccountId::new(book, AccountKind::Budget, EntityId::of_bytes(&name))
}

/// What is written never begins with what is written for another scope: texts stand at the end, or
/// behind their length.
fn write_scope(scope: BudgetScope<'_>, name: &mut Vec<u8>) {
    let mut text = |kind, text: &str| {
        name.push(kind);
        name.extend_from_slice(text.as_bytes());
    };
    match scope {
        BudgetScope::Installation => name.push(b'i'),
        BudgetScope::Tenant(path) => text(b't', path),
        BudgetScope::Provider(provider) => text(b'p', provider),
        BudgetScope::Model(model) => text(b'm', model),
        BudgetScope::Key(key) => {
            name.push(b'k');
            name.extend_from_slice(&key.get().to_le_bytes());
        }
        BudgetScope::Part { whole, part } => {
            let mut counted = |kind, text: &str| {
                name.push(kind);
                name.extend_from_slice(&(text.len() as u64).to_le_bytes());
                name.extend_from_slice(text.as_bytes());
            };
            match part {
                BudgetPart::User(user) => counted(b'U', user),
                BudgetPart::Model(model) => counted(b'M', model),
                BudgetPart::Tag(tag, value) => {
                    counted(b'T', tag);
                    counted(b'V', value);
                }
            }
            write_scope(*whole, name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashSet;

    #[test]
    fn every_account_is_found_by_its_number_and_fits_a_signed_column() {
        let mut seen = HashSet::new();
        for book in Book::ALL {
            for kind in AccountKind::ALL {
                let account = AccountId::new(book, kind, EntityId::of("acme"));
                assert_eq!((account.book(), account.kind()), (book, kind));
                assert_eq!(AccountId::from_bits(account.get()), Some(account));
                assert!(i64::try_from(account.get()).is_ok());
                assert!(seen.insert(account), "{account} is not unique");
            }
        }
    }

    #[test]
    fn budgets_of_other_scopes_and_windows_are_other_accounts() {
        let start = Timestamp::from_secs(1_795_000_000);
        let spans = [BudgetSpan::Day, BudgetSpan::Week, BudgetSpan::Month];
        let from = spans.map(|period| BudgetWindow::From { period, start });
        let later =
            BudgetWindow::From { period: BudgetSpan::Day, start: Timestamp::from_secs(1_795_086_400) };
        let windows: Vec<_> =
            [BudgetWindow::Month(24_322), BudgetWindow::Month(24_323), BudgetWindow::Total, later]
                .into_iter()
                .chain(from)
                .collect();
        let wholes = [
            BudgetScope::Installation,
            BudgetScope::Tenant("a"),
            BudgetScope::Tenant("a/b"),
            BudgetScope::Key(KeyId::from_bits(1)),
            BudgetScope::Key(KeyId::from_bits(2)),
            BudgetScope::Provider("a"),
            BudgetScope::Model("a"),
        ];
        let parts = [
            BudgetPart::User("a"),
            BudgetPart::User(""),
            BudgetPart::Model("a"),
            BudgetPart::Tag("a", "bc"),
            BudgetPart::Tag("ab", "c"),
        ];
        let part = |whole| parts.iter().map(move |part| BudgetScope::Part { whole, part: *part });
        let scopes: Vec<_> = wholes.iter().copied().chain(wholes.iter().flat_map(part)).collect();
        let all: HashSet<_> = [Book::Platform, Book::Surcharge]
            .into_iter()
            .flat_map(|book| windows.iter().map(move |window| (book, *window)))
            .flat_map(|(book, window)| scopes.iter().map(move |scope| budget_account(book, *scope, window)))
            .collect();
        assert_eq!(all.len(), 2 * windows.len() * scopes.len());
    }

    /// What is spent already must not be forgotten by a newer release.
    #[test]
    fn the_accounts_of_the_first_release_stay() {
        let account = |scope, window| budget_account(Book::Platform, scope, window).to_string();
        let key = BudgetScope::Key(KeyId::from_bits(7));
        assert_eq!(account(key, BudgetWindow::Month(683)), "platform/budget/932515831c445");
        assert_eq!(
            account(BudgetScope::Tenant("acme"), BudgetWindow::Total),
            "platform/budget/43763f2986a44"
        );
        assert_eq!(account(BudgetScope::Installation, BudgetWindow::Total), "platform/budget/12b7e3ffbdf4f");
    }

    proptest! {
        #[test]
        fn no_number_breaks_the_reader(bits in any::<u64>()) {
            if let Some(account) = AccountId::from_bits(bits) {
                prop_assert_eq!(account.get(), bits);
            }
        }
    }
}
