-- What a tenant's requests cost beside the provider's cost (weighbridge_units::Charges); NULL: as configured.
ALTER TABLE tenant ADD COLUMN markup TEXT;
