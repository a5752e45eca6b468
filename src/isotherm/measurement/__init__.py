"""How hot, how big, how severe: shapes, statistics, delta-T, isotherms, uncertainty, severity tables."""
