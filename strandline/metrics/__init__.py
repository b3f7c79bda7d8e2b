"""What versions add up to: sums of predictions before learning, totals of counts."""
