"""From blocks to staged files: workers, mergers, and the replicas that they stand on."""
