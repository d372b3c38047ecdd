#!/bin/sh
# Runs in LocalStack once it is ready: a topic for the template's alarms (AlarmTopicArn), and a subscriber to look at.
set -eu
topic=$(awslocal sns create-topic --name cachito-alarms --query TopicArn --output text)
queue=$(awslocal sqs create-queue --queue-name cachito-alarms --query QueueUrl --output text)
arn=$(awslocal sqs get-queue-attributes --queue-url "$queue" --attribute-names QueueArn --query Attributes.QueueArn --output text)
awslocal sns subscribe --topic-arn "$topic" --protocol sqs --notification-endpoint "$arn" >/dev/null
echo "alarms: $topic"
