use crate::{
    Database, alerts, audit_log, kept, keys, ledger, price_updates, provider_keys, request_log, server,
    tenants,
};

#[test]
fn every_statement_can_be_prepared() {
    let Some(server) = server::shared() else { return };
    let database = Database::open(&server.url(&server.database())).unwrap();
    let connector = database.connector();
    let prepared = database.runtime().spawn(async move {
        let session = connector.connect().await.unwrap();
        let others = [
            &keys::STATEMENTS[..],
            &tenants::STATEMENTS,
            &provider_keys::STATEMENTS,
            &audit_log::STATEMENTS,
            &alerts::STATEMENTS,
            &price_updates::STATEMENTS,
            &request_log::STATEMENTS,
            &kept::STATEMENTS,
        ];
        let statements = [ledger::statements(), others.concat()].concat();
        for sql in &statements {
            let prepared = session.client.prepare(sql).await;
            prepared.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
        }
        statements.len()
    });
    assert!(futures::executor::block_on(prepared).unwrap() > 60);
}
