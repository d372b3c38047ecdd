package telemetry

import (
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	// MaxSeries is how many combinations of labels one metric may have; what comes after them is counted
	// under Other. It is a net: the program's own labels stay far below.
	MaxSeries = 1000
	// Other stands for every value of a label that is not counted by itself.
	Other = "other"
)

// MetricsSettings of Metrics.
type MetricsSettings struct {
	// Hosts are counted by their names; all others as Other.
	Hosts []string
	// EMF takes the metrics as CloudWatch's embedded metric format, a line for each set of labels, when they are
	// flushed; nil: nobody does.
	EMF io.Writer
	// Namespace of the metrics on CloudWatch.
	Namespace string
	// Clock is time.Now unless set.
	Clock func() time.Time
}

// Metrics counts. Its methods may be called concurrently; those of a nil *Metrics do nothing.
type Metrics struct {
	settings MetricsSettings
	hosts    map[string]bool

	mu     sync.Mutex
	series map[*Definition]map[string]*series // by the values of the labels, joined
}

// labelSeparator joins the values of labels; no UTF-8 text holds it.
const labelSeparator = "\xff"

// series is a metric with one combination of labels.
type series struct {
	labels  []string
	value   float64  // of a counter or gauge
	buckets []uint64 // of a histogram; not cumulative, the last one is what is above all bounds
	sum     float64
	count   uint64
	// Not yet written as EMF: a counter's or gauge's number, or a histogram's values.
	changed bool
	pending float64
	values  []float64
}

// NewMetrics makes an empty set of all metrics.
func NewMetrics(s MetricsSettings) *Metrics {
	if s.Clock == nil {
		s.Clock = time.Now
	}
	m := &Metrics{settings: s, hosts: map[string]bool{}, series: map[*Definition]map[string]*series{}}
	for _, h := range s.Hosts {
		m.hosts[strings.ToLower(h)] = true
	}
	return m
}

// Host is the label of a host ("name" or "name:port").
func (m *Metrics) Host(host string) string {
	if m == nil {
		return ""
	}
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	if host = strings.ToLower(host); m.hosts[host] {
		return host
	}
	return Other
}

// Add adds n to a counter. labels are the values of the definition's labels, in their order.
func (m *Metrics) Add(d *Definition, n float64, labels ...string) {
	if m == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.find(d, labels)
	s.value += n
	s.pending += n
	s.changed = true
}

// Set sets a gauge.
func (m *Metrics) Set(d *Definition, v float64, labels ...string) {
	if m == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.find(d, labels)
	// CloudWatch charges for what it is sent: a gauge that stays 0 must cost nothing at rest.
	s.changed = s.changed || v != 0 || s.value != 0
	s.value, s.pending = v, v
}

// Observe adds a value to a histogram.
func (m *Metrics) Observe(d *Definition, v float64, labels ...string) {
	if m == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.find(d, labels)
	i, _ := slices.BinarySearch(d.buckets, v) // the first bound that is not below v
	s.buckets[i]++
	s.sum += v
	s.count++
	if m.settings.EMF == nil {
		return
	}
	s.values, s.changed = append(s.values, v), true
	if len(s.values) == maxEMFValues {
		m.flushSeries(d, s)
	}
}

// find is the series of these labels, under m.mu.
func (m *Metrics) find(d *Definition, labels []string) *series {
	if len(labels) != len(d.Labels) {
		panic("telemetry: " + d.Name + " has other labels")
	}
	all := m.series[d]
	if all == nil {
		all = map[string]*series{}
		m.series[d] = all
	}
	key := strings.Join(labels, labelSeparator)
	s := all[key]
	if s == nil && len(all) >= MaxSeries {
		labels = slices.Repeat([]string{Other}, len(labels))
		key = strings.Join(labels, labelSeparator)
		s = all[key]
	}
	if s == nil {
		s = &series{labels: slices.Clone(labels)}
		for i := range s.labels {
			s.labels[i] = strings.ToValidUTF8(s.labels[i], "\uFFFD")
		}
		if d.Type == Histogram {
			s.buckets = make([]uint64, len(d.buckets)+1)
		}
		all[key] = s
	}
	return s
}

var classes = [...]string{1: "1xx", 2: "2xx", 3: "3xx", 4: "4xx", 5: "5xx"}

// StatusClass is the label of an HTTP status: "2xx".
func StatusClass(status int) string {
	if status < 100 || status > 599 {
		return Other
	}
	return classes[status/100]
}
