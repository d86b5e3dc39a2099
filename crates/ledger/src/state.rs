use weighbridge_units::{AttemptId, NanoUsd, Timestamp};

use crate::id_map::IdMap;
use crate::{
    AccountId, Act, ClaimId, CommandId, Ended, Entry, Fact, Funding, Holder, Intent, PayloadHash, Phase,
    Quantity, Rollup, RollupKey, Settlement, Standing, TopUp, Transfer, Used,
};

/// The two halves of an account's balance, in what the account counts. Debits count up, credits down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub struct Balance {
    /// What has happened.
    pub posted: Quantity,
    /// What open attempts have reserved.
    pub pending: Quantity,
}

impl Balance {
    /// The balance after a transfer's debit (`sign` 1) or credit (`sign` −1); `None` where it does not fit.
    fn after(self, phase: Phase, sign: i64, amount: Quantity) -> Option<Self> {
        let signed = amount.get().checked_mul(sign)?;
        let Self { posted, pending } = self;
        let move_by = |balance: Quantity, by: i64| balance.plus(Quantity::new(by));
        Some(match phase {
            Phase::Pend => Self { posted, pending: move_by(pending, signed)? },
            Phase::Release => Self { posted, pending: move_by(pending, signed.checked_neg()?)? },
            Phase::Post => Self { posted: move_by(posted, signed)?, pending },
        })
    }
}

/// What [`crate::decide`] looks at. A store loads what a command touches before it asks.
pub trait View {
    /// The balance of an account; zero where it never moved.
    fn balance(&self, account: AccountId) -> Balance;

    /// What was asked for under an id, if anything was carried out under it.
    fn claim(&self, id: CommandId) -> Option<PayloadHash>;

    /// An open attempt.
    fn intent(&self, attempt: AttemptId) -> Option<&Intent>;

    /// An ended attempt.
    fn ended(&self, attempt: AttemptId) -> Option<&Ended>;

    /// A top-up, by the id that it was made under.
    fn top_up(&self, id: u128) -> Option<TopUp>;

    /// Who has an idempotency claim.
    fn holder(&self, id: ClaimId) -> Option<Holder>;
}

/// The fold of a journal, or the part of it that a store has at hand.
///
/// A store that keeps its state elsewhere loads into an empty one what a batch touches
/// ([`State::load_balance`] and its like), decides and applies, and writes back what the entries moved.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct State {
    balances: IdMap<AccountId, Balance>,
    claims: IdMap<CommandId, PayloadHash>,
    intents: IdMap<AttemptId, Intent>,
    ended: IdMap<AttemptId, Ended>,
    top_ups: IdMap<u128, TopUp>,
    holders: IdMap<ClaimId, Holder>,
    rollups: IdMap<RollupKey, Rollup>,
}

impl View for State {
    fn balance(&self, account: AccountId) -> Balance {
        self.balances.get(&account).copied().unwrap_or_default()
    }

    fn claim(&self, id: CommandId) -> Option<PayloadHash> {
        self.claims.get(&id).copied()
    }

    fn intent(&self, attempt: AttemptId) -> Option<&Intent> {
        self.intents.get(&attempt)
    }

    fn ended(&self, attempt: AttemptId) -> Option<&Ended> {
        self.ended.get(&attempt)
    }

    fn top_up(&self, id: u128) -> Option<TopUp> {
        self.top_ups.get(&id).copied()
    }

    fn holder(&self, id: ClaimId) -> Option<Holder> {
        self.holders.get(&id).copied()
    }
}

impl State {
    /// Nothing has happened.
    pub fn new() -> Self {
        Self::default()
    }

    /// Every account that is known.
    pub fn balances(&self) -> impl ExactSizeIterator<Item = (AccountId, Balance)> + '_ {
        self.balances.iter().map(|(account, balance)| (*account, *balance))
    }

    /// Whether an account is known, be it as zero.
    pub fn knows(&self, account: AccountId) -> bool {
        self.balances.contains_key(&account)
    }

    /// Every open attempt that is known.
    pub fn intents(&self) -> impl Iterator<Item = (AttemptId, &Intent)> + '_ {
        self.intents.iter().map(|(attempt, intent)| (*attempt, intent))
    }

    /// Every roll-up that is known.
    pub fn rollups(&self) -> impl Iterator<Item = (RollupKey, Rollup)> + '_ {
        self.rollups.iter().map(|(key, rollup)| (*key, *rollup))
    }

    /// Makes a balance known.
    pub fn load_balance(&mut self, account: AccountId, balance: Balance) {
        self.balances.insert(account, balance);
    }

    /// Makes known what was carried out under an id.
    pub fn load_claim(&mut self, id: CommandId, payload: PayloadHash) {
        self.claims.insert(id, payload);
    }

    /// Makes an open attempt known.
    pub fn load_intent(&mut self, attempt: AttemptId, intent: Intent) {
        self.intents.insert(attempt, intent);
    }

    /// Makes an ended attempt known.
    pub fn load_ended(&mut self, attempt: AttemptId, ended: Ended) {
        self.ended.insert(attempt, ended);
    }

    /// Makes a top-up known.
    pub fn load_top_up(&mut self, id: u128, top_up: TopUp) {
        self.top_ups.insert(id, top_up);
    }

    /// Every idempotency claim that is known.
    pub fn holders(&self) -> impl Iterator<Item = (ClaimId, Holder)> + '_ {
        self.holders.iter().map(|(id, holder)| (*id, *holder))
    }

    /// Makes known who has an idempotency claim.
    pub fn load_holder(&mut self, id: ClaimId, holder: Holder) {
        self.holders.insert(id, holder);
    }

    /// Forgets the idempotency claims; a store that keeps them elsewhere loads what it needs.
    pub fn forget_holders(&mut self) {
        self.holders.clear();
    }

    /// Takes the roll-ups out; what is applied afterwards adds up from zero.
    pub fn take_rollups(&mut self) -> Vec<(RollupKey, Rollup)> {
        self.rollups.drain().collect()
    }

    /// Forgets the roll-ups of all hours before `hour`.
    pub fn forget_rollups_before(&mut self, hour: i64) {
        self.rollups.retain(|key, _| key.hour >= hour);
    }

    /// Forgets ended attempts, top-ups and command ids; balances, open attempts, claims and roll-ups stay.
    pub fn forget_history(&mut self) {
        self.claims.clear();
        self.ended.clear();
        self.top_ups.clear();
    }

    /// Forgets one ended attempt and its command ids, but for its refunds' (they have ids of their own).
    pub fn forget_attempt(&mut self, attempt: AttemptId) {
        if self.ended.remove(&attempt).is_some() {
            for act in [Act::Reserve, Act::End, Act::Late] {
                self.claims.remove(&CommandId::of(attempt, act));
            }
        }
    }

    /// Forgets what was carried out under an id.
    pub fn forget_claim(&mut self, id: CommandId) {
        self.claims.remove(&id);
        if id.act == Act::Fund {
            self.top_ups.remove(&id.id);
        }
    }

    fn move_balances(&mut self, transfer: &Transfer) {
        for (account, sign) in [(transfer.debit, 1), (transfer.credit, -1)] {
            let balance = self.balances.entry(account).or_default();
            // `decide` admits no entry that overflows; a fold of a damaged journal keeps the old balance.
            *balance = balance.after(transfer.phase, sign, transfer.amount).unwrap_or(*balance);
        }
    }

    /// Lets an end take effect on the claim of its attempt, unless another one has it by now.
    fn stand(&mut self, claim: Option<ClaimId>, attempt: AttemptId, settlement: Settlement) {
        let holder = claim.and_then(|id| self.holders.get_mut(&id));
        if let Some(holder) = holder.filter(|holder| holder.attempt == attempt) {
            holder.standing = Standing::after(settlement.outcome);
        }
    }

    /// Claims whose window is over are no more.
    fn retire_claims(&mut self, now: Timestamp) {
        self.holders.retain(|_, holder| now < holder.until);
    }

    fn end(&mut self, attempt: AttemptId, settlement: Settlement) {
        if let Some(intent) = self.intents.remove(&attempt) {
            let used = Used::none(settlement.outcome);
            let ended = Ended { intent, settlement, used, late: false, refunded: NanoUsd::ZERO };
            self.ended.insert(attempt, ended);
        }
    }
}

/// Lets an entry take effect: the only way that a [`State`] changes. `apply` over the whole journal
/// is the state (rule L3).
pub fn apply(state: &mut State, entry: &Entry) {
    apply_sums(state, entry);
    match &entry.fact {
        Fact::Reserved { attempt, payload, intent } => {
            state.claims.insert(CommandId::of(*attempt, Act::Reserve), *payload);
            state.intents.insert(*attempt, intent.clone());
            if let Some(claim) = &intent.claim {
                state.holders.insert(claim.id, Holder::new(*attempt, claim));
            }
        }
        Fact::Ended { attempt, payload, settlement, claim } => {
            state.claims.insert(CommandId::of(*attempt, Act::End), *payload);
            state.end(*attempt, *settlement);
            state.stand(*claim, *attempt, *settlement);
        }
        Fact::Late { attempt, payload, settlement, claim } => {
            state.claims.insert(CommandId::of(*attempt, Act::Late), *payload);
            if let Some(ended) = state.ended.get_mut(attempt) {
                (ended.settlement, ended.late) = (*settlement, true);
            }
            state.stand(*claim, *attempt, *settlement);
        }
        Fact::Used { attempt, used, .. } => {
            if let Some(ended) = state.ended.get_mut(attempt) {
                ended.used = *used;
            }
        }
        Fact::Refunded { attempt, id, payload, amount, .. } => {
            state.claims.insert(CommandId { id: *id, act: Act::Refund }, *payload);
            if let Some(ended) = state.ended.get_mut(attempt) {
                ended.refunded = ended.refunded.plus(*amount).unwrap_or(NanoUsd::MAX);
            }
        }
        Fact::Funded { id, payload, tenant, funding, .. } => {
            state.claims.insert(CommandId { id: *id, act: Act::Fund }, *payload);
            match *funding {
                Funding::TopUp(amount) => {
                    let (book, tenant, refunded) = (entry.book, *tenant, NanoUsd::ZERO);
                    state.top_ups.insert(*id, TopUp { book, tenant, amount, refunded });
                }
                Funding::Refund { of, amount } => {
                    if let Some(top_up) = state.top_ups.get_mut(&of) {
                        top_up.refunded = top_up.refunded.plus(amount).unwrap_or(NanoUsd::MAX);
                    }
                }
                Funding::Credit(_) | Funding::Adjustment(_) => {}
            }
        }
        Fact::Sealed { .. } => state.retire_claims(entry.at),
        Fact::Overage { .. } => {}
    }
}

/// The part of [`apply`] that adds up: balances and roll-ups.
pub(crate) fn apply_sums(state: &mut State, entry: &Entry) {
    entry.transfers.iter().for_each(|transfer| state.move_balances(transfer));
    match &entry.fact {
        Fact::Used { rollup, used, replaces, .. } => {
            let sum = state.rollups.entry(*rollup).or_default();
            if let Some(replaced) = replaces {
                sum.count(replaced, -1);
            }
            sum.count(used, 1);
        }
        Fact::Refunded { rollup, amount, .. } => {
            state.rollups.entry(*rollup).or_default().refund(*amount);
        }
        _ => {}
    }
}

/// Whether every balance fits after all transfers, in order (rule M4).
pub(crate) fn fits(view: &impl View, entries: &[Entry]) -> bool {
    has_ample_room(view, entries) || fits_in_order(view, entries)
}

/// Whether each balance would take all amounts together, both ways. Nearly always it does, and then the order is of no
/// matter, nor which account has seen what.
fn has_ample_room(view: &impl View, entries: &[Entry]) -> bool {
    let transfers = || entries.iter().flat_map(|entry| &entry.transfers);
    let all =
        transfers().try_fold(0_i64, |sum, transfer| sum.checked_add(transfer.amount.get().checked_abs()?));
    let Some(all) = all.map(Quantity::new) else { return false };
    let takes = |balance: Quantity| balance.plus(all).is_some() && balance.minus(all).is_some();
    transfers().flat_map(|transfer| [transfer.debit, transfer.credit]).all(|account| {
        let Balance { posted, pending } = view.balance(account);
        takes(posted) && takes(pending)
    })
}

fn fits_in_order(view: &impl View, entries: &[Entry]) -> bool {
    let mut after: Vec<(AccountId, Balance)> = Vec::with_capacity(16);
    for transfer in entries.iter().flat_map(|entry| &entry.transfers) {
        for (account, sign) in [(transfer.debit, 1), (transfer.credit, -1)] {
            let known = after.iter().position(|(seen, _)| *seen == account);
            let balance = known.and_then(|at| after.get(at)).map(|(_, balance)| *balance);
            let moved = balance.unwrap_or_else(|| view.balance(account));
            let Some(moved) = moved.after(transfer.phase, sign, transfer.amount) else { return false };
            match known.and_then(|at| after.get_mut(at)) {
                Some((_, balance)) => *balance = moved,
                None => after.push((account, moved)),
            }
        }
    }
    true
}
