package config

// watchSettings are about logs, metrics and traces.
var watchSettings = []setting{
	{
		"CACHITO_LOG_LEVEL", groupLogging, "info",
		"`debug`, `info`, `warn` or `error`.",
		func(c *Config, v string) error { return level(&c.LogLevel, v) },
	},
	{
		"CACHITO_LOG_FORMAT", groupLogging, LogAuto,
		"`json`, `text`, or `auto`: text on a terminal, else JSON.",
		func(c *Config, v string) error { return oneOf(&c.LogFormat, v, LogAuto, LogJSON, LogText) },
	},

	{
		"CACHITO_METRICS_LISTEN", groupWatch, "",
		"Embedded service: address and port where Prometheus finds metrics at `/metrics`, such as `127.0.0.1:9464`. Whoever reaches it may read them. Empty: nowhere.",
		func(c *Config, v string) error {
			if v == "" {
				return nil
			}
			return listenAddress(&c.MetricsListen, v)
		},
	},
	{
		"CACHITO_METRICS_NAMESPACE", groupWatch, "Cachito",
		"Functions: the namespace of their metrics on CloudWatch, or `off`.",
		func(c *Config, v string) error { return namespace(&c.MetricsNamespace, v) },
	},
	{
		"CACHITO_METRICS_HOSTS", groupWatch,
		"github.com,gitlab.com,proxy.golang.org,sum.golang.org,registry.npmjs.org,registry.yarnpkg.com,pypi.org,files.pythonhosted.org,rubygems.org,static.crates.io,index.crates.io",
		"Hosts whose downloads are counted by name; all others are `other`. Each one is up to nine metrics, which CloudWatch charges for.",
		func(c *Config, v string) error { return list(&c.MetricsHosts, v) },
	},
	{
		"OTEL_EXPORTER_OTLP_ENDPOINT", groupWatch, "",
		"URL of an OpenTelemetry collector that takes OTLP over HTTP, such as `http://127.0.0.1:4318`. Traces go to `/v1/traces` below it. Empty: none are made.",
		func(c *Config, v string) error { return httpURL(&c.TracesEndpoint, v) },
	},
	{
		"OTEL_EXPORTER_OTLP_HEADERS", groupWatch, "",
		"Headers for the collector: `name=value` pairs joined by commas, values percent-encoded.",
		func(c *Config, v string) error { return headers(&c.TracesHeaders, v) },
	},
	{
		"OTEL_SERVICE_NAME", groupWatch, "cachito",
		"What the collector calls this deployment.",
		func(c *Config, v string) error { return text(&c.ServiceName, v) },
	},
	{
		"CACHITO_TRACES_RATIO", groupWatch, "1",
		"The part of all traces that is made, 0 to 1. A request's trace is made whole or not at all.",
		func(c *Config, v string) error { return ratio(&c.TracesRatio, v) },
	},
}
