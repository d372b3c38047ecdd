package pipeline

import (
	"context"
	"crypto/sha512"
	"encoding/binary"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/cachito-serverless/cachito/shared/emulatortest"
	"github.com/cachito-serverless/cachito/shared/integrity"
	"github.com/cachito-serverless/cachito/shared/packages"
	"github.com/cachito-serverless/cachito/shared/request"
	"github.com/cachito-serverless/cachito/shared/resolver"
	"github.com/cachito-serverless/cachito/shared/store/dynamodb"
)

// tarball is the nth of a registry's archives.
func tarball(n, size int) []byte {
	b := make([]byte, size)
	binary.BigEndian.PutUint64(b, uint64(n))
	return b
}

// locked is a package manager whose lockfile, the number of its dependencies, vouches for each by SHA-512, as npm's
// does.
func locked(registry string, size int) resolver.Descriptor {
	resolve := func(ctx context.Context, in resolver.Input) (resolver.Output, error) {
		var out resolver.Output
		if err := in.Reason(ctx, "Fetching the locked dependencies"); err != nil {
			return out, err
		}
		lockfile, err := in.Source.ReadFile("lockfile")
		if err != nil {
			return out, err
		}
		n := 0
		if _, err := fmt.Sscan(string(lockfile), &n); err != nil {
			return out, err
		}
		version := "1.0"
		pkg := packages.Package{Name: "app", Type: "npm", Version: &version}
		var wanted []resolver.Artifact
		for i := range n {
			sum := sha512.Sum512(tarball(i, size))
			name := fmt.Sprintf("dep-%d", i)
			wanted = append(wanted, resolver.Artifact{
				URL: fmt.Sprintf("%s/%d", registry, i), Describe: name, Want: []integrity.Digest{{Algorithm: "sha512", Sum: string(sum[:])}},
			})
			pkg.Dependencies = append(pkg.Dependencies, packages.Dependency{Name: name, Type: "npm", Version: &version})
		}
		files, err := resolver.FetchAll(ctx, in, wanted)
		if err != nil {
			return out, err
		}
		for i, f := range files {
			out.Deps = append(out.Deps, resolver.Entry{Path: fmt.Sprintf("npm/dep-%d.tgz", i), File: &f})
		}
		out.Packages = []packages.Package{pkg}
		out.ConfigFiles = []resolver.ConfigFile{{Path: "app/.npmrc", Content: []byte("offline=true\n")}}
		out.EnvironmentVariables = map[string]request.EnvironmentVariable{"OFFLINE": {Value: "true", Kind: "literal"}}
		return out, nil
	}
	return resolver.Descriptor{
		Name: "synthetic", Rank: 5, Version: "1", Types: []packages.Rule{{Type: "npm"}},
		New: func(resolver.Settings) (resolver.Resolver, error) { return resolverFunc(resolve), nil },
	}
}

// TestRequestCostAWS holds the table of docs/operations.md: what the steps of a request ask of DynamoDB, SQS and S3.
// Steps here take little time; the heartbeats of those that do are in the table's text, and a slow machine may have some.
func TestRequestCostAWS(t *testing.T) {
	const size = 20_000
	for _, n := range []int{10, 200, 1000} {
		t.Run(fmt.Sprintf("%d dependencies", n), func(t *testing.T) {
			w := newWorld(t)
			for i := range n {
				w.answers[fmt.Sprintf("/%d", i)] = func(rw http.ResponseWriter) { _, _ = rw.Write(tarball(i, size)) }
			}
			m := &emulatortest.Meter{}
			bucket := emulatortest.Ministack.Blob(t, m)
			pr := w.start(-1, func(s *Settings, d *Deps) {
				d.Store = emulatortest.Store(t, m, dynamodb.WithClock(w.clock))
				d.Queue = emulatortest.Queue(t, m, StepSource, resolvePrefix+"synthetic", StepBundle)
				d.Blobs = bucket
				d.Managers = []resolver.Descriptor{locked(w.registry.URL, size)}
				s.Resolvers = map[string]resolver.Settings{"synthetic": {}}
			})
			defer pr.close()
			pr.store, pr.queue, pr.blobs = pr.Store, pr.Queue, bucket
			repo := w.git.Init("o/cost")
			commit := func(readme string) string {
				return repo.Commit(map[string]string{"lockfile": fmt.Sprint(n), "README": readme, "code.js": strings.Repeat("code();\n", 10_000)})
			}
			first, second := commit("one"), commit("two")
			for _, c := range []struct {
				name, ref string
				// Of the whole request, for each dependency.
				puts, reads float64
			}{
				{"first", first, 2, 2},
				{"new commit", second, 0, 3},
				{"same commit", second, 0, 0},
			} {
				m.Taken()
				ordered := time.Now()
				var all emulatortest.Usage
				var began time.Time
				req := pr.finishCounted(t, w.git.URL("o/cost"), c.ref, func() { began = time.Now() }, func(step string) {
					u := m.Taken()
					t.Logf("%s, %s in %d ms: %v", c.name, step, time.Since(began).Milliseconds(), u)
					all = all.Plus(u)
				})
				puts := all.Of("s3 PutObject", "s3 CreateMultipartUpload", "s3 UploadPart", "s3 UploadPartCopy", "s3 CompleteMultipartUpload", "s3 ListObjectsV2")
				reads := all.Of("s3 GetObject", "s3 HeadObject")
				messages := 0
				for name, calls := range all.Calls {
					if strings.HasPrefix(name, "sqs ") && name != "sqs GetQueueUrl" {
						messages += calls
					}
				}
				t.Logf("%s: S3 %d writes and %d reads, DynamoDB %.0f and %.0f units, SQS %d, bundle of %d bytes",
					c.name, puts, reads, all.WriteUnits, all.ReadUnits, messages, req.Bundle.Size)
				heartbeats := float64(time.Since(ordered) / HeartbeatEvery)
				for _, check := range []struct {
					what             string
					got, want, spare float64
				}{
					{"writes to S3", float64(puts), c.puts * float64(n), 30 + 5*heartbeats},
					{"reads of S3", float64(reads), c.reads * float64(n), 50 + heartbeats},
					{"write units", all.WriteUnits, 90, 15 + 10*heartbeats},
					{"read units", all.ReadUnits, 20, 15 + 2*heartbeats},
					{"calls of SQS", float64(messages), 9, heartbeats},
				} {
					if check.got < check.want || check.got > check.want+check.spare {
						t.Errorf("%s: %g %s, want %g to %g", c.name, check.got, check.what, check.want, check.want+check.spare)
					}
				}
			}
		})
	}
}
