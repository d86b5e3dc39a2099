-- By what a writer's process is known to be there: the name that it holds, and where that name means something
-- (src/ledger/presence.rs); and the server's process of the connection by which it gave its last sign of life.
-- NULL: nothing is known but its beats.
ALTER TABLE writer ADD COLUMN host text, ADD COLUMN presence text, ADD COLUMN backend integer;
