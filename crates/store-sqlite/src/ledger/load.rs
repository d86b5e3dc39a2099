//! Before deciding: what a command looks at is loaded into the state, unless it is there already.

use std::collections::HashSet;

use rusqlite::Connection;
use weighbridge_ledger::{
    AccountId, Act, ClaimId, Command, CommandId, Decision, EntityId, Epoch, Fund, Funding, Name, Refusal,
    State, View, decide, decide_end, touches,
};

use super::rows::{
    INSERT_NAME, StoreError, find_balance, find_command, find_ended, find_holder, find_intent, find_top_up,
    id_column,
};
use super::writer::Order;

/// Why an order was not decided on: the one fails its batch, the other is the answer.
pub(super) enum StoreOr {
    Store(StoreError),
    Refusal(Refusal),
}

impl From<StoreError> for StoreOr {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<Refusal> for StoreOr {
    fn from(refusal: Refusal) -> Self {
        Self::Refusal(refusal)
    }
}

/// What an order comes to; what it looks at is made known to `state` first.
pub(super) fn decide_order(
    db: &Connection,
    state: &mut State,
    epoch: Epoch,
    order: &Order,
) -> Result<Decision, StoreOr> {
    match order {
        Order::Command(command) => {
            load(db, state, command)?;
            Ok(decide(state, epoch, command)?)
        }
        Order::End(end) => {
            // `touches` speaks of commands; the facts are small.
            load(db, state, &Command::End(end.clone()))?;
            Ok(decide_end(state, epoch, end)?)
        }
    }
}

/// Makes known to `state` what a command looks at.
fn load(db: &Connection, state: &mut State, command: &Command) -> Result<(), StoreError> {
    if let Some(attempt) = command.attempt() {
        let is_new = match command {
            Command::Reserve(_) => !load_claim(db, state, CommandId::of(attempt, Act::Reserve))?,
            _ => false,
        };
        if !is_new && state.intent(attempt).is_none() && state.ended(attempt).is_none() {
            if let Some(intent) = find_intent(db, attempt)? {
                state.load_intent(attempt, intent);
            } else if let Some(ended) = find_ended(db, attempt)? {
                for act in [Act::End, Act::Late] {
                    load_claim(db, state, CommandId::of(attempt, act))?;
                }
                state.load_ended(attempt, ended);
            }
        }
        let claim = match command {
            Command::Reserve(reserve) => reserve.claim.as_ref().map(|claim| claim.id),
            // Its end takes effect on the claim that is at hand, and the table shows that later.
            Command::End(_) => {
                let intent = state.intent(attempt).or_else(|| Some(&state.ended(attempt)?.intent));
                intent.and_then(|intent| Some(intent.claim.as_ref()?.id))
            }
            _ => None,
        };
        if let Some(claim) = claim {
            load_holder(db, state, claim)?;
        }
        if let Command::Adjust(adjust) = command {
            load_claim(db, state, CommandId { id: adjust.id, act: Act::Refund })?;
        }
        let intent = state.intent(attempt).or_else(|| state.ended(attempt).map(|ended| &ended.intent));
        let accounts = touches(command, intent);
        load_balances(db, state, &accounts)?;
    }
    if let Command::Fund(fund) = command {
        load_funding(db, state, fund)?;
        load_balances(db, state, &touches(command, None))?;
    }
    Ok(())
}

fn load_funding(db: &Connection, state: &mut State, fund: &Fund) -> Result<(), StoreError> {
    load_claim(db, state, CommandId { id: fund.id, act: Act::Fund })?;
    if let Funding::Refund { of, .. } = fund.funding
        && state.top_up(of).is_none()
        && let Some(top_up) = find_top_up(db, of)?
    {
        state.load_top_up(of, top_up);
    }
    Ok(())
}

fn load_balances(db: &Connection, state: &mut State, accounts: &[AccountId]) -> Result<(), StoreError> {
    for &account in accounts {
        if !state.knows(account) {
            state.load_balance(account, find_balance(db, account)?);
        }
    }
    Ok(())
}

fn load_holder(db: &Connection, state: &mut State, claim: ClaimId) -> Result<(), StoreError> {
    if state.holder(claim).is_none()
        && let Some(holder) = find_holder(db, claim)?
    {
        state.load_holder(claim, holder);
    }
    Ok(())
}

fn load_claim(db: &Connection, state: &mut State, id: CommandId) -> Result<bool, StoreError> {
    if state.claim(id).is_none() {
        let Some((payload, _)) = find_command(db, id)? else { return Ok(false) };
        state.load_claim(id, payload);
    }
    Ok(true)
}

/// Registers the names that an order mentions, unless they are known.
pub(super) fn register_names(
    db: &Connection,
    known: &mut HashSet<EntityId>,
    order: &Order,
) -> Result<(), StoreError> {
    match order {
        Order::Command(Command::Reserve(reserve)) => {
            for name in [&reserve.tenant, &reserve.provider, &reserve.model, &reserve.price_version] {
                register_name(db, known, name)?;
            }
            Ok(())
        }
        Order::Command(Command::End(end)) | Order::End(end) => register_name(db, known, &end.facts.reason),
        Order::Command(Command::Adjust(adjust)) => register_name(db, known, &adjust.reason),
        Order::Command(Command::Fund(fund)) => {
            for name in [&fund.tenant, &fund.reason, &fund.actor] {
                register_name(db, known, name)?;
            }
            Ok(())
        }
        Order::Command(Command::Seal(_)) => Ok(()),
    }
}

pub(super) fn register_name(
    db: &Connection,
    known: &mut HashSet<EntityId>,
    name: &Name,
) -> Result<(), StoreError> {
    if known.insert(name.id()) {
        db.prepare_cached(INSERT_NAME)?.execute((id_column(name.id().get()), name.as_str()))?;
    }
    Ok(())
}
