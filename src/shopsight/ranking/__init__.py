"""Operations on runs: order, fusion, re-ranking, audit of candidate pools, a baseline."""
