"""What it means: rules and the life of their findings, risks, advice, scorecard, report. Pure: it reads no clock."""
