#!/usr/bin/perl
#
# Writes the messages of the benchmark into a directory, each with its
# signature beside it:
#
#     bodies.pl DIRECTORY SECRET
#
# NAME.json is a body, NAME.sig the header's value.

use strict;
use warnings;

use Digest::SHA qw(hmac_sha256_hex);

my ($dir, $secret) = @ARGV;

my %id = (
    project_id => 'PROJECT_ID',
    room_id    => 'ROOM_ID',
    bot_id     => 'BOT_ID',
    user_id    => 'USER_ID',
);

# what people write: accents now and then, and paragraphs

my $prose = 'Hola, gracias por escribirnos. Tu pedido está en camino y '
    . 'llegará mañana antes de las 18:00. ¿Hay algo más en lo que te podamos '
    . 'ayudar? Puedes responder aquí mismo, a cualquier hora, y una persona '
    . 'de nuestro equipo va a leer lo que escribas.\n\n';

sub message {
    my ($text) = @_;

    return <<"END" =~ s/\n\z//r;
{
    "field": "messages",
    "object": "message_event",
    "event_type": "incoming_message",
    "project_id": "$id{project_id}",
    "room_id": "$id{room_id}",
    "bot_id": "$id{bot_id}",
    "user_id": "$id{user_id}",
    "value": {
      "id": "MESSAGE_ID",
      "type": "text",
      "content": {
        "body": "$text"
      }
    }
  }
END
}

sub write_file {
    my ($name, $data) = @_;

    open my $out, '>:raw', "$dir/$name" or die "$dir/$name: $!\n";
    print $out $data;
    close $out or die "$dir/$name: $!\n";
}

sub save {
    my ($name, $body, $signature) = @_;

    write_file("$name.json", $body);
    write_file("$name.sig",
               $signature // 'sha256=' . hmac_sha256_hex($body, $secret));
}

sub sized {
    my ($size) = @_;

    my $left = $size - length message('');
    my $text = $prose x ($left / length $prose);

    return message($text . '.' x ($left - length $text));
}

my $example = message('Hello user, how can I help you?');

die 'the example has ', length $example, " bytes\n" if length $example != 353;

save('353', $example);
save($_, sized($_)) for 4096, 65536, 524288;

# what is refused

save('wrong', $example, 'sha256=' . '0123456789abcdef' x 4);
save('missing', $example, '-');

# what shows that the peers do the same: other order, other members, text of
# all kinds, media; and what none may let through

save('shuffled', '{"value":{"content":{"body":"\u00bfQu\u00e9?\n\"é\" 🙂","x":1},'
    . '"type":"text","extra":[{}],"id":"m-2"},"user_id":"u","bot_id":"b",'
    . '"room_id":"r","project_id":"p","more":null,'
    . '"event_type":"incoming_message","object":"message_event",'
    . '"field":"messages"}');

save('image', '{"field":"messages","object":"message_event",'
    . '"event_type":"incoming_message","project_id":"p","room_id":"r",'
    . '"bot_id":"b","user_id":"u","value":{"id":"m-3","type":"image",'
    . '"content":{"caption":"Mira","mime_type":"image/jpeg",'
    . '"url":"https://example.com/a.jpg"}}}');

save('broken', substr $example, 0, 300);
save('invalid', $example =~ s/"ROOM_ID"/17/r);
save('control', $example =~ s/"USER_ID"/"USER\\nID"/r);
save('http', '{"field":"messages","object":"message_event",'
    . '"event_type":"incoming_message","project_id":"p","room_id":"r",'
    . '"bot_id":"b","user_id":"u","value":{"id":"m-3","type":"image",'
    . '"content":{"mime_type":"image/jpeg","url":"http://example.com/a"}}}');
