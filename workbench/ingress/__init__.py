"""Translates the ingress rules of the cluster, k8s/istio/*.yaml, to Envoy's configuration.

bootstrap.py     the way in: envoy_bootstrap() makes the whole configuration
discovery.py     divides that into files, which Envoy reads again when they are replaced
rules.py         reads the files, and checks that they fit together
rule_files.py    reads one file
istio.py         models of Gateway and VirtualService, in istio_destination.py of DestinationRule, in
                 istio_security.py of RequestAuthentication and AuthorizationPolicy, and in istio_values.py of values
envoyfilter.py   models of EnvoyFilter
routes.py        VirtualService to Envoy's routes
cluster.py       DestinationRule to Envoy's clusters
authentication.py, authorization.py
                 RequestAuthentication and AuthorizationPolicy to Envoy's filters
pod_labels.py    the labels of the replicas, by which subsets select them
refused_rule.py  which rule Envoy refuses
statistics.py    Envoy's statistics, for Prometheus
envoy_json.py    parts of Envoy's configuration
"""
