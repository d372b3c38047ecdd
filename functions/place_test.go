package functions_test

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/cachito-serverless/cachito/shared/awsclient/awsclienttest"
	"github.com/cachito-serverless/cachito/shared/config"
	"github.com/cachito-serverless/cachito/shared/function/functiontest"
	"github.com/cachito-serverless/cachito/shared/pipeline"
	"github.com/cachito-serverless/cachito/shared/queue"
	queuesqs "github.com/cachito-serverless/cachito/shared/queue/sqs"
	"github.com/cachito-serverless/cachito/shared/resolver/all"
	storedynamodb "github.com/cachito-serverless/cachito/shared/store/dynamodb"
	"github.com/cachito-serverless/cachito/shared/wiring/onaws"
)

// names of the functions, which are their folders.
var names = []string{"api", "source", "resolve", "bundle", "reaper"}

// place is a table, a bucket, a secret and queues in the emulator, as template.yaml makes them, and what functions need to
// find them.
type place struct {
	*functiontest.Upstream
	home     *onaws.Home
	prefix   string
	settings map[string]string
}

func newPlace(t *testing.T) *place {
	t.Helper()
	ctx := t.Context()
	clients := awsclienttest.Config(awsclienttest.Endpoint(t, "AWS_ENDPOINT_URL"), "test", "test", nil)
	name := "functions-" + strings.ToLower(rand.Text())
	p := &place{Upstream: functiontest.NewUpstream(t), prefix: name, settings: map[string]string{
		"CACHITO_TABLE": name, "CACHITO_BUCKET": name, "CACHITO_QUEUE_PREFIX": name, "CACHITO_PACKAGE_MANAGERS": "all",
		"CACHITO_DEFAULT_PACKAGE_MANAGERS": "npm", "LOGIN_DISABLED": "true", "CACHITO_LOG_LEVEL": "debug",
	}}
	maps.Copy(p.settings, p.Settings())

	vault := secretsmanager.NewFromConfig(clients)
	_, err := vault.CreateSecret(ctx, &secretsmanager.CreateSecretInput{Name: &name, SecretString: aws.String("machine git.example login a password b\n")})
	must(t, err)
	t.Cleanup(func() {
		_, err := vault.DeleteSecret(context.Background(), &secretsmanager.DeleteSecretInput{SecretId: &name, ForceDeleteWithoutRecovery: aws.Bool(true)})
		must(t, err)
	})
	p.settings["CACHITO_NETRC"] = "secret:" + name

	db := dynamodb.NewFromConfig(clients)
	must(t, storedynamodb.CreateTables(ctx, db, name))
	_, err = s3.NewFromConfig(clients, func(o *s3.Options) { o.UsePathStyle = true }).CreateBucket(ctx, &s3.CreateBucketInput{Bucket: &name})
	must(t, err)
	queues := sqs.NewFromConfig(clients)
	create := func(step string, attributes map[string]string) *string {
		t.Helper()
		out, err := queues.CreateQueue(ctx, &sqs.CreateQueueInput{QueueName: aws.String(name + "-" + step), Attributes: attributes})
		must(t, err)
		t.Cleanup(func() {
			_, err := queues.DeleteQueue(context.Background(), &sqs.DeleteQueueInput{QueueUrl: out.QueueUrl})
			must(t, err)
		})
		return out.QueueUrl
	}
	letters, err := queues.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{
		QueueUrl: create(queuesqs.DeadLetter, nil), AttributeNames: []types.QueueAttributeName{types.QueueAttributeNameQueueArn},
	})
	must(t, err)
	redrive, err := json.Marshal(map[string]string{
		"deadLetterTargetArn": letters.Attributes["QueueArn"], "maxReceiveCount": strconv.Itoa(queue.MaxReceives),
	})
	must(t, err)
	for _, step := range pipeline.Steps(managers()) {
		create(step, map[string]string{"RedrivePolicy": string(redrive)})
	}
	t.Cleanup(func() {
		_, err := db.DeleteTable(context.Background(), &dynamodb.DeleteTableInput{TableName: &name})
		must(t, err)
	})

	cfg, err := config.Load(func(name string) string { return p.settings[name] })
	must(t, err)
	p.home, err = onaws.OpenWith(ctx, cfg, clients)
	must(t, err)
	t.Cleanup(func() { must(t, p.home.Close()) })
	return p
}

// managers are those that template.yaml has queues for.
func managers() []string {
	var list []string
	for _, d := range all.List() {
		if d.New != nil {
			list = append(list, d.Name)
		}
	}
	return list
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// binaries are the functions built as template.yaml has them built, by name.
var binaries = sync.OnceValues(func() (map[string]string, error) {
	folder, err := os.MkdirTemp("", "cachito-bootstraps-")
	if err != nil {
		return nil, err
	}
	paths := map[string]string{}
	for _, name := range names {
		paths[name] = filepath.Join(folder, name, "bootstrap")
		cmd := exec.Command("go", "build", "-tags", "lambda.norpc", "-trimpath", "-ldflags", "-s -w", "-o", paths[name], "./"+name)
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			return nil, errors.Join(err, errors.New(string(out)), os.RemoveAll(folder))
		}
	}
	return paths, nil
})

func bootstrap(t *testing.T, name string) string {
	t.Helper()
	paths, err := binaries()
	must(t, err)
	return paths[name]
}

func TestMain(m *testing.M) {
	code := m.Run()
	if os.Getenv("AWS_ENDPOINT_URL") != "" { // else nothing was built
		if paths, err := binaries(); err == nil {
			os.RemoveAll(filepath.Dir(filepath.Dir(paths["api"])))
		}
	}
	os.Exit(code)
}
