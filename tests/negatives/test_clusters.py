from hypothesis import given, settings
from hypothesis import strategies as st

from negatives.queries import QUERIES
from shopsight.negatives.clusters import cluster_queries
from shopsight.negatives.words import index_words


@settings(max_examples=20)  # each fits K-means
@given(QUERIES, st.integers(1, 6))
def test_every_query_has_a_cluster(texts, clusters):
    labels = cluster_queries(index_words(texts), clusters, 3, 0)
    assert labels.shape == (len(texts),)
    assert 0 <= labels.min() <= labels.max() < clusters


def test_clusters_separate_queries_without_shared_words():
    texts = [f"red cotton dress {i}a" for i in range(20)] + [f"oak table {i}b" for i in range(20)]
    labels = cluster_queries(index_words(texts), 2, 5, 0)
    assert len(set(labels[:20])) == len(set(labels[20:])) == 1
    assert labels[0] != labels[-1]
