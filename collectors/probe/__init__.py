"""The probe: what a client really gets, measured by sending a small streaming request now and then."""
