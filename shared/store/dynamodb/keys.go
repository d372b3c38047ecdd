package dynamodb

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/cachito-serverless/cachito/shared/request"
	"github.com/cachito-serverless/cachito/shared/store"
)

// DynamoDB's limits for keys are 2048 and 1024 bytes. Longer values stand in them as their hash.
const (
	maxPartitionValue = 1800
	maxSortValue      = 900
)

// key is an item's address.
type key struct{ pk, sk string }

// Items that there are once.
var (
	lastKey      = key{"counter", "last"}      // the last id, and the creation times in its block
	completedKey = key{"counter", "completed"} // how many ever completed, and the sum of their durations
)

// Sort keys of a request's items. The row and the history are the ones below historyEnd.
const (
	rowSort       = "0"
	historyPrefix = "1#"
	historyEnd    = "2"
	oncePrefix    = "once#"
	filePrefix    = "file#"
)

// expiresPrefix begins the partition of the requests in a state, by when they were last updated.
const expiresPrefix = "expires#"

// metricPartition holds a short item of every finished request, by when it finished.
const metricPartition = "metric"

// filterFinished lists the requests that have a metric, with the metric.
const filterFinished = "finished"

// width of a number in a sort key, so that their order is the numbers'.
const (
	idWidth    = 19
	microWidth = 19
)

func requestPartition(id int64) string { return "request#" + strconv.FormatInt(id, 10) }

func rowKey(id int64) key { return key{requestPartition(id), rowSort} }

func historyKey(id, seq int64) key {
	return key{requestPartition(id), fmt.Sprintf("%s%08d", historyPrefix, seq)}
}

func onceKey(id int64, name string) key {
	return key{requestPartition(id), bounded(oncePrefix, name, maxSortValue)}
}

// fileKey is made of path and content, so that an exact repeat is the same item.
func fileKey(id int64, f request.ConfigFile) key {
	sum := sha256.Sum256([]byte(f.Path + "\x00" + f.Key))
	return key{requestPartition(id), filePrefix + hex.EncodeToString(sum[:])}
}

func tokenKey(token string) key { return key{bounded("token#", token, maxPartitionValue), rowSort} }

func listPartition(v store.FilterValue) string {
	return bounded("list#"+v.Filter+"#", v.Value, maxPartitionValue)
}

func blockPartition(v store.FilterValue) string {
	return bounded("block#"+v.Filter+"#", v.Value, maxPartitionValue)
}

func blockKey(v store.FilterValue, block int64) key { return key{blockPartition(v), sortID(block)} }

func latestPartition(repoName, ref string) string {
	return bounded(fmt.Sprintf("latest#%d#", len(ref)), ref+"#"+repoName, maxPartitionValue)
}

func referencePartition(blob string) string { return bounded("reference#", blob, maxPartitionValue) }

func expiresPartition(s request.State) string { return expiresPrefix + string(s) }

func sortID(id int64) string { return fmt.Sprintf("%0*d", idWidth, id) }

func sortMicros(t time.Time) string { return fmt.Sprintf("%0*d", microWidth, t.UnixMicro()) }

// sortTimed orders by time, then id.
func sortTimed(t time.Time, id int64) string { return sortMicros(t) + "#" + sortID(id) }

// bounded is prefix and value. A value too long for a key, or one that is no UTF-8 (DynamoDB's strings are),
// stands there as its hash, under a prefix that no other value has.
func bounded(prefix, value string, limit int) string {
	if len(value) <= limit && utf8.ValidString(value) {
		return prefix + value
	}
	sum := sha256.Sum256([]byte(value))
	return "~" + prefix + hex.EncodeToString(sum[:])
}
