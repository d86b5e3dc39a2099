//! Which budgets count a request, and what a reservation holds of each.

use std::sync::Arc;

use weighbridge_access::{
    Budget, BudgetLimit, BudgetMeter, BudgetPeriod, Counted, OnExceed, Principal, TenantNode, Window,
};
use weighbridge_ledger::{
    AccountId, AccountKind, Billing, Book, BudgetPart, BudgetScope, BudgetSpan, BudgetWindow, EntityId, Hold,
    MAX_HOLDS, Measure, Quantity, budget_account,
};
use weighbridge_units::Timestamp;

use crate::compiled::{Compiled, Deployment, ModelRoute};
use crate::exchange::Exchange;
use crate::settings::BUDGETS_BESIDE;

// Installation, organisation, team and key; provider and model. However they are defined, they fit.
const _: () = assert!(4 * Budget::MOST + 2 * BUDGETS_BESIDE <= MAX_HOLDS);

/// A budget that counts a request: its account for the window that the request arrived in.
pub(crate) struct Counting<'a> {
    pub(crate) budget: &'a Budget,
    pub(crate) account: AccountId,
    pub(crate) window: Window,
    /// Whose budget it is.
    pub(crate) owner: BudgetScope<'a>,
}

/// Tags of a request, as they were read or as its record has them.
#[derive(Clone, Copy)]
pub(crate) enum Tags<'a> {
    Read(&'a weighbridge_access::Tags),
    Kept(&'a [(Arc<str>, Arc<str>)]),
}

impl Tags<'_> {
    fn has(&self, name: &str, value: &str) -> bool {
        match self {
            Self::Read(tags) => tags.get(name) == Some(value),
            Self::Kept(tags) => tags.iter().any(|(n, v)| &**n == name && &**v == value),
        }
    }
}

/// What budgets look at.
pub(crate) struct Asked<'a> {
    /// When the request arrived: it belongs to that window (rule C7).
    pub(crate) at: Timestamp,
    pub(crate) model: &'a str,
    /// Whoever names no end user is one that has no name.
    pub(crate) user: &'a str,
    pub(crate) tags: Tags<'a>,
}

impl<'a> Asked<'a> {
    pub(crate) fn of(exchange: &'a Exchange) -> Self {
        let record = &exchange.draft.record;
        Self {
            at: exchange.arrived(),
            model: &exchange.envelope.model,
            user: record.end_user.as_deref().unwrap_or_default(),
            tags: Tags::Kept(&record.tags),
        }
    }
}

/// Every budget that counts an attempt of a request at a deployment, in the book that the attempt is billed in.
pub(crate) fn counting<'a>(
    exchange: &'a Exchange,
    settings: &'a Compiled,
    route: &'a ModelRoute,
    deployment: &'a Deployment,
    book: Book,
) -> Vec<Counting<'a>> {
    let asked = Asked::of(exchange);
    let principal = &exchange.principal;
    let mut found = Vec::new();
    let mut add = |owner: BudgetScope<'a>, meters: &'a [BudgetMeter]| {
        found.extend(meters.iter().filter_map(|meter| asked.counting(owner, meter, book)));
    };
    add(BudgetScope::Installation, &settings.budgets);
    add(BudgetScope::Provider(&deployment.provider.name), &deployment.provider.budgets);
    if let Some(name) = &route.name {
        add(BudgetScope::Model(name), &route.budgets);
    }
    for node in principal.tenants() {
        add(BudgetScope::Tenant(node.tenant().name.as_str()), node.budgets());
    }
    add(BudgetScope::Key(principal.key().id), principal.budgets());
    found
}

/// Every budget that counts a copy of a request: those of the installation, which bears its cost, of the provider, and of
/// the model that it is sent to, by the name of that model. A copy is no end user's, so that what is counted for each
/// of them does not count it.
pub(crate) fn counting_copy<'a>(
    exchange: &'a Exchange,
    settings: &'a Compiled,
    route: &'a ModelRoute,
    deployment: &'a Deployment,
) -> Vec<Counting<'a>> {
    let model = route.name.as_deref();
    let asked = Asked { model: model.unwrap_or(&exchange.envelope.model), ..Asked::of(exchange) };
    let provider = &deployment.provider;
    let installation = (BudgetScope::Installation, &*settings.budgets);
    let model = model.map(|name| (BudgetScope::Model(name), &*route.budgets));
    let all =
        [installation, (BudgetScope::Provider(&provider.name), &*provider.budgets)].into_iter().chain(model);
    all.flat_map(|(owner, meters)| {
        let shared = meters.iter().filter(|meter| meter.budget().counts != Counted::EachUser);
        shared.filter_map(|meter| asked.counting(owner, meter, Book::Platform)).collect::<Vec<_>>()
    })
    .collect()
}

/// Every budget that counts a request whichever provider serves it, as far as it may get another model: in each of
/// the books that the request may be billed in, since nobody knows yet whose key will serve it.
pub(crate) fn downgrading<'a>(
    asked: &'a Asked<'a>,
    settings: &'a Compiled,
    route: &'a ModelRoute,
    principal: &'a Principal,
    books: impl Iterator<Item = Book> + Clone + 'a,
) -> impl Iterator<Item = Counting<'a>> {
    let installation = (BudgetScope::Installation, &*settings.budgets);
    let model = route.name.as_deref().map(|name| (BudgetScope::Model(name), &*route.budgets));
    let tenants =
        principal.tenants().map(|node| (BudgetScope::Tenant(node.tenant().name.as_str()), node.budgets()));
    let key = (BudgetScope::Key(principal.key().id), principal.budgets());
    let all = std::iter::once(installation).chain(model).chain(tenants).chain([key]);
    all.flat_map(move |(owner, meters)| {
        let soft = meters.iter().filter(|meter| matches!(meter.budget().on_exceed, OnExceed::Downgrade(_)));
        let books = books.clone();
        soft.flat_map(move |meter| books.clone().filter_map(move |book| asked.counting(owner, meter, book)))
    })
}

impl Asked<'_> {
    /// The budget's account for this request in a book, if it counts it.
    pub(crate) fn counting<'m>(
        &self,
        owner: BudgetScope<'m>,
        meter: &'m BudgetMeter,
        book: Book,
    ) -> Option<Counting<'m>> {
        let budget = meter.budget();
        match &budget.counts {
            // Of each user another account: not worth remembering.
            Counted::EachUser => {
                let (window, _) = meter.window(self.at, |_| 0);
                let scope = BudgetScope::Part { whole: &owner, part: BudgetPart::User(self.user) };
                let account = account_of(budget, book, entity(scope, budget, window));
                Some(Counting { budget, account, window, owner })
            }
            Counted::Model(pattern) if !pattern.matches(self.model) => None,
            Counted::Tag(name, value) if !self.tags.has(name, value) => None,
            Counted::All | Counted::Model(_) | Counted::Tag(..) => counting_at(owner, meter, self.at, book),
        }
    }
}

/// The one account that a budget has in a book at a time; `None` where each user has one of its own.
fn counting_at<'m>(
    owner: BudgetScope<'m>,
    meter: &'m BudgetMeter,
    at: Timestamp,
    book: Book,
) -> Option<Counting<'m>> {
    let budget = meter.budget();
    if budget.counts == Counted::EachUser {
        return None;
    }
    let (window, number) = meter.window(at, |window| {
        let of = |part| entity(BudgetScope::Part { whole: &owner, part }, budget, window).get();
        match &budget.counts {
            Counted::Model(pattern) => of(BudgetPart::Model(&pattern.to_string())),
            Counted::Tag(name, value) => of(BudgetPart::Tag(name, value)),
            Counted::All | Counted::EachUser => entity(owner, budget, window).get(),
        }
    });
    let account = account_of(budget, book, EntityId::from_bits(number));
    Some(Counting { budget, account, window, owner })
}

/// Every budget that is defined and has one account, as it counts at a time, in each book that budgets count in.
pub(crate) fn defined<'a>(
    settings: &'a Compiled,
    tenants: &'a [Arc<TenantNode>],
    principals: &'a [Arc<Principal>],
    at: Timestamp,
) -> impl Iterator<Item = Counting<'a>> + 'a {
    let installation = (BudgetScope::Installation, &*settings.budgets);
    let providers = settings
        .providers()
        .into_iter()
        .map(|provider| (BudgetScope::Provider(&provider.name), &*provider.budgets));
    let models = settings
        .named_routes()
        .filter_map(|route| Some((BudgetScope::Model(route.name.as_deref()?), &*route.budgets)));
    let tenants =
        tenants.iter().map(|node| (BudgetScope::Tenant(node.tenant().name.as_str()), node.budgets()));
    let keys = principals.iter().map(|principal| (BudgetScope::Key(principal.key().id), principal.budgets()));
    let all = std::iter::once(installation).chain(providers).chain(models).chain(tenants).chain(keys);
    all.flat_map(|(owner, meters)| meters.iter().map(move |meter| (owner, meter))).flat_map(
        move |(owner, meter)| {
            let books = [Billing::Platform, Billing::OwnKey].map(Billing::book);
            books.into_iter().filter_map(move |book| counting_at(owner, meter, at, book))
        },
    )
}

fn account_of(budget: &Budget, book: Book, entity: EntityId) -> AccountId {
    let measure = match budget.limit {
        BudgetLimit::Usd(_) => Measure::Usd,
        BudgetLimit::Tokens(_) => Measure::Tokens,
        BudgetLimit::Requests(_) => Measure::Requests,
    };
    AccountId::new(book, AccountKind::budget(measure), entity)
}

/// What the ledger calls a budget in a window; the same in every book and measure.
fn entity(scope: BudgetScope<'_>, budget: &Budget, window: Window) -> EntityId {
    budget_account(Book::Platform, scope, ledger_window(budget, window)).entity()
}

fn ledger_window(budget: &Budget, window: Window) -> BudgetWindow {
    let (Some(start), Some(span)) = (window.start, span(budget.period)) else { return BudgetWindow::Total };
    match span {
        // As releases before there were others have counted it.
        BudgetSpan::Month if budget.zone.is_utc() => BudgetWindow::Month(start.month()),
        period => BudgetWindow::From { period, start },
    }
}

const fn span(period: BudgetPeriod) -> Option<BudgetSpan> {
    match period {
        BudgetPeriod::Day => Some(BudgetSpan::Day),
        BudgetPeriod::Week => Some(BudgetSpan::Week),
        BudgetPeriod::Month => Some(BudgetSpan::Month),
        BudgetPeriod::Total => None,
    }
}

impl Counting<'_> {
    /// What a reservation holds of the budget. A soft one counts and bounds nothing.
    pub(crate) fn hold(&self) -> Hold {
        let limit = self.budget.is_hard().then(|| Quantity::new(self.budget.limit.amount()));
        Hold { account: self.account, limit }
    }
}

/// Whether any budget of money counts a request, so that nothing may be served without a price (rule M7).
pub(crate) fn bounds_money(counting: &[Counting<'_>]) -> bool {
    counting.iter().any(|counting| matches!(counting.budget.limit, BudgetLimit::Usd(_)))
}
