package telemetry

// Type tells how a metric's values go together.
type Type string

// Types of metrics, as Prometheus has them.
const (
	Counter   Type = "counter"
	Gauge     Type = "gauge"
	Histogram Type = "histogram"
)

// Unit of a metric's values, as CloudWatch has it.
type Unit string

// Units of metrics.
const (
	Count   Unit = "Count"
	Seconds Unit = "Seconds"
	Bytes   Unit = "Bytes"
)

// Definition is a metric: its name is the same on CloudWatch and for Prometheus, and its labels are
// CloudWatch's dimensions. Everything a label can say is bounded by the program or its settings, never by
// what clients send.
type Definition struct {
	Name    string
	Type    Type
	Unit    Unit
	Labels  []string
	Meaning string
	buckets []float64 // upper bounds, of a histogram
}

// Upper bounds of histograms. Steps take milliseconds (cached) to 15 minutes (a function's limit).
var (
	callBuckets   = []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30}
	stepBuckets   = []float64{.05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 900, 1800, 3600}
	bundleBuckets = []float64{64 << 10, 1 << 20, 4 << 20, 16 << 20, 64 << 20, 256 << 20, 1 << 30, 4 << 30, 16 << 30}
)

// The metrics of the product.
var (
	RequestsAccepted = &Definition{
		Name: "cachito_requests_accepted_total", Type: Counter, Unit: Count,
		Meaning: "Requests that the API stored and scheduled.",
	}
	RequestsCompleted = &Definition{
		Name: "cachito_requests_completed_total", Type: Counter, Unit: Count,
		Meaning: "Requests whose bundle is ready.",
	}
	RequestsFailed = &Definition{
		Name: "cachito_requests_failed_total", Type: Counter, Unit: Count, Labels: []string{"origin"},
		Meaning: "Requests that failed, by whose fault it was: `client` or `server`.",
	}
	RequestSeconds = &Definition{
		Name: "cachito_request_seconds", Type: Histogram, Unit: Seconds, Labels: []string{"state"}, buckets: stepBuckets,
		Meaning: "Time from a request's creation to its end, by the state it ended in: `complete` or `failed`.",
	}
	StepSeconds = &Definition{
		Name: "cachito_step_seconds", Type: Histogram, Unit: Seconds, Labels: []string{"step", "outcome"}, buckets: stepBuckets,
		Meaning: "Time of one run of a step (`source`, `resolve-<package manager>`, `bundle`). Outcomes: `done`, `skipped` (nobody wants it, or it is not its turn), `interrupted` (handed back near the limit of time, or at the end of the process), `retried` (a fault that may pass), `failed`.",
	}
	StepRetries = &Definition{
		Name: "cachito_step_retries_total", Type: Counter, Unit: Count, Labels: []string{"step"},
		Meaning: "Runs of a step that ended in a fault which may pass: the message comes back.",
	}
	StepsResent = &Definition{
		Name: "cachito_steps_resent_total", Type: Counter, Unit: Count, Labels: []string{"step"},
		Meaning: "Lost steps that the reaper sent again.",
	}
	DeadLetters = &Definition{
		Name: "cachito_dead_letters_total", Type: Counter, Unit: Count, Labels: []string{"step"},
		Meaning: "Messages that were given up, each of which failed its request.",
	}
	QueueOldestSeconds = &Definition{
		Name: "cachito_queue_oldest_seconds", Type: Gauge, Unit: Seconds, Labels: []string{"queue"},
		Meaning: "Age of the oldest message of a queue when the reaper looked, 0 for an empty one.",
	}
	FetchRequests = &Definition{
		Name: "cachito_fetch_requests_total", Type: Counter, Unit: Count, Labels: []string{"host", "outcome"},
		Meaning: "HTTP requests to registries and git servers, each try counted. Hosts: those of `CACHITO_METRICS_HOSTS`, all others are `other`. Outcomes: `2xx` to `5xx`, `refused` (by our address guard), `canceled`, `error` (no answer).",
	}
	FetchRetries = &Definition{
		Name: "cachito_fetch_retries_total", Type: Counter, Unit: Count, Labels: []string{"host"},
		Meaning: "HTTP requests that were sent again after a failure that may pass.",
	}
	FetchedBytes = &Definition{
		Name: "cachito_fetched_bytes_total", Type: Counter, Unit: Bytes, Labels: []string{"host"},
		Meaning: "Bytes of answers that were read from registries and git servers.",
	}
	CacheLookups = &Definition{
		Name: "cachito_cache_lookups_total", Type: Counter, Unit: Count, Labels: []string{"kind", "outcome"},
		Meaning: "Questions to the cache by what was looked for (`source`, `result`, `bundle`, `dependency`) and what was found (`hit`, `miss`).",
	}
	BundleBytes = &Definition{
		Name: "cachito_bundle_bytes", Type: Histogram, Unit: Bytes, buckets: bundleBuckets,
		Meaning: "Size of the bundles that requests completed with, whether made or found.",
	}
	CallSeconds = &Definition{
		Name: "cachito_http_request_seconds", Type: Histogram, Unit: Seconds, Labels: []string{"route", "status"}, buckets: callBuckets,
		Meaning: "Time to answer a call to the API, by method and route (`GET /api/v1/requests/{id}`; `none` when there is no such route) and class of status (`2xx`).",
	}
)

// Definitions lists every metric, in the order of the documentation.
func Definitions() []*Definition {
	return []*Definition{
		RequestsAccepted, RequestsCompleted, RequestsFailed, RequestSeconds,
		StepSeconds, StepRetries, StepsResent, DeadLetters, QueueOldestSeconds,
		FetchRequests, FetchRetries, FetchedBytes, CacheLookups, BundleBytes, CallSeconds,
	}
}
