"""Small modules with the operators of well-known models that torchvision does not have.

Their sizes are small and their weights random: what counts is which operators such models call.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

VOCABULARY = 500


class SelfAttention(nn.Module):
    """Multi-head attention written out, as language models have it."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads, self.size = heads, width // heads
        self.query, self.key = nn.Linear(width, width), nn.Linear(width, width)
        self.value, self.out = nn.Linear(width, width), nn.Linear(width, width)

    def split(self, x: Tensor) -> Tensor:
        """Returns `[batch, heads, length, size]`."""
        return x.view(x.size(0), x.size(1), self.heads, self.size).permute(0, 2, 1, 3)

    def forward(self, x: Tensor, memory: Tensor, mask: Tensor) -> Tensor:
        query, key = self.split(self.query(x)), self.split(self.key(memory))
        scores = torch.matmul(query, key.transpose(-1, -2)) / self.size**0.5 + mask
        mixed = torch.matmul(torch.softmax(scores, dim=-1), self.split(self.value(memory)))
        return self.out(mixed.permute(0, 2, 1, 3).contiguous().view(x.size()))


class Layer(nn.Module):
    """Attention and two linear layers, each with a residual and a norm."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.attention = SelfAttention(width, heads)
        self.first, self.second = nn.LayerNorm(width), nn.LayerNorm(width)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x: Tensor, memory: Tensor, mask: Tensor) -> Tensor:
        x = self.first(x + self.attention(x, memory, mask))
        return self.second(x + self.down(functional.gelu(self.up(x))))


class BertQuestionAnswering(nn.Module):
    """Token ids, token types and an attention mask in; scores of start and end out."""

    def __init__(self, width: int = 64, layers: int = 2) -> None:
        super().__init__()
        self.words, self.places = nn.Embedding(VOCABULARY, width), nn.Embedding(512, width)
        self.types = nn.Embedding(8, width)
        self.norm, self.dropout = nn.LayerNorm(width), nn.Dropout(0.1)
        self.layers = nn.ModuleList(Layer(width, 4) for _ in range(layers))
        self.answer = nn.Linear(width, 2)

    def forward(self, ids: Tensor, types: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        places = torch.arange(ids.size(1), dtype=torch.long, device=ids.device).unsqueeze(0)
        x = self.words(ids) + self.places(places) + self.types(types)
        x = self.dropout(self.norm(x))
        hidden = (1.0 - (mask > 0).to(x.dtype).unsqueeze(1).unsqueeze(2)) * -10000.0
        for layer in self.layers:
            x = layer(x, x, hidden)
        start, end = self.answer(x).split(1, dim=-1)
        return start.squeeze(-1), end.squeeze(-1)


class LanguageModel(nn.Module):
    """Embedding, two-layer LSTM, log-probabilities of the next word."""

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        self.words = nn.Embedding(VOCABULARY, width)
        self.lstm = nn.LSTM(width, width, num_layers=2, batch_first=True)
        self.out = nn.Linear(width, VOCABULARY)

    def forward(self, ids: Tensor) -> tuple[Tensor, Tensor]:
        x, (hidden, _) = self.lstm(self.words(ids))
        return functional.log_softmax(self.out(x), dim=-1), hidden


class AttentionTranslator(nn.Module):
    """Word by word: a GRU reads, another writes and attends to what was read."""

    def __init__(self, width: int = 64, longest: int = 16) -> None:
        super().__init__()
        self.width, self.longest, self.words = width, longest, VOCABULARY
        self.start, self.stop = 0, 1
        self.source, self.target = nn.Embedding(VOCABULARY, width), nn.Embedding(VOCABULARY, width)
        self.encoder, self.decoder = nn.GRU(width, width), nn.GRU(width, width)
        self.attend, self.combine = nn.Linear(2 * width, longest), nn.Linear(2 * width, width)
        self.out = nn.Linear(width, VOCABULARY)

    def forward(self, ids: Tensor) -> tuple[Tensor, Tensor]:
        read = torch.zeros(self.longest, self.width)
        hidden = torch.zeros(1, 1, self.width)
        for i in range(min(ids.size(0), self.longest)):
            x, hidden = self.encoder(self.source(ids[i]).view(1, 1, -1), hidden)
            read[i] = x[0, 0]
        word, words = torch.tensor([self.start]), [self.start]
        scores = torch.zeros(0, self.words)
        while len(words) < self.longest and words[-1] != self.stop:
            x = self.target(word).view(1, 1, -1)
            weights = functional.softmax(self.attend(torch.cat((x[0], hidden[0]), 1)), dim=1)
            context = torch.bmm(weights.unsqueeze(0), read.unsqueeze(0))
            x = functional.relu(self.combine(torch.cat((x[0], context[0]), 1)).unsqueeze(0))
            x, hidden = self.decoder(x, hidden)
            step = functional.log_softmax(self.out(x[0]), dim=1)
            scores = torch.cat((scores, step))
            word = step.topk(1)[1].view(1)
            words.append(int(word.item()))
        return torch.tensor(words), scores


class TransformerTranslator(nn.Module):
    """Encoder, and a decoder that is run again for each word."""

    def __init__(self, width: int = 64, longest: int = 10) -> None:
        super().__init__()
        self.longest, self.start, self.stop = longest, 0, 1
        self.words, self.places = nn.Embedding(VOCABULARY, width), nn.Embedding(512, width)
        self.encoder, self.itself = Layer(width, 4), Layer(width, 4)
        self.across, self.out = Layer(width, 4), nn.Linear(width, VOCABULARY)

    def embed(self, ids: Tensor) -> Tensor:
        """Returns words with their places."""
        return self.words(ids) + self.places(torch.arange(ids.size(1)).unsqueeze(0))

    def forward(self, ids: Tensor) -> tuple[Tensor, Tensor]:
        source = self.embed(ids)
        memory = self.encoder(source, source, torch.zeros(1))
        said = torch.full([ids.size(0), 1], self.start, dtype=torch.long)
        scores = self.out(memory[:, -1])
        for _ in range(self.longest):
            x = self.embed(said)
            later = torch.triu(torch.full([said.size(1), said.size(1)], -1e4), diagonal=1)
            x = self.across(self.itself(x, x, later), memory, torch.zeros(1))
            scores = self.out(x[:, -1])
            said = torch.cat((said, scores.argmax(dim=-1, keepdim=True)), dim=1)
            if bool((said[:, -1] == self.stop).all()):
                break
        return said, scores


class SpeechRecogniser(nn.Module):
    """Convolutions over the wave, a Transformer encoder, scores per letter and time step."""

    def __init__(self, width: int = 64, layers: int = 2) -> None:
        super().__init__()
        kernels, strides = (10, 3, 3, 3, 2), (5, 2, 2, 2, 2)
        self.convolutions = nn.ModuleList(
            nn.Conv1d(1 if i == 0 else width, width, k, s, bias=False)
            for i, (k, s) in enumerate(zip(kernels, strides, strict=True))
        )
        self.group = nn.GroupNorm(width, width)
        self.norm, self.project = nn.LayerNorm(width), nn.Linear(width, width)
        self.places = nn.Conv1d(width, width, 16, padding=8, groups=4)
        self.layers = nn.ModuleList(Layer(width, 4) for _ in range(layers))
        self.letters = nn.Linear(width, 32)

    def forward(self, wave: Tensor) -> Tensor:
        x = functional.layer_norm(wave, wave.shape[-1:]).unsqueeze(1)
        for index, convolution in enumerate(self.convolutions):
            x = convolution(x)
            x = functional.gelu(self.group(x) if index == 0 else x)
        x = self.project(self.norm(x.transpose(1, 2)))
        x = x + functional.gelu(self.places(x.transpose(1, 2))[..., :-1]).transpose(1, 2)
        for layer in self.layers:
            x = layer(x, x, torch.zeros(1))
        return functional.log_softmax(self.letters(x), dim=-1)


def _block(inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1) -> nn.Module:
    pad = (kernel - 1) // 2
    return nn.Sequential(
        nn.ReflectionPad2d(pad),
        nn.Conv2d(inputs, outputs, kernel, stride, groups=groups, bias=False),
        nn.GroupNorm(1, outputs),
        nn.LeakyReLU(0.2, inplace=True),
    )


class InvertedResidual(nn.Module):
    """Widen, convolve per channel, narrow; added to the input."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            _block(width, 2 * width, 1),
            _block(2 * width, 2 * width, 3, groups=2 * width),
            nn.Conv2d(2 * width, width, 1, bias=False),
            nn.GroupNorm(1, width),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layers(x)


class Painter(nn.Module):
    """A picture in, a painted picture of the same size out."""

    def __init__(self, width: int = 16) -> None:
        super().__init__()
        self.down = nn.Sequential(_block(3, width, 7), _block(width, width * 2, 3, 2))
        self.middle = nn.Sequential(*(InvertedResidual(width * 2) for _ in range(2)))
        self.up = _block(width * 2, width, 3)
        self.out = nn.Sequential(nn.Conv2d(width, 3, 1, bias=False), nn.Tanh())

    def forward(self, picture: Tensor) -> Tensor:
        x = self.middle(self.down(picture))
        x = functional.interpolate(x, picture.shape[-2:], mode="bilinear", align_corners=False)
        return self.out(self.up(x))


def _pair(inputs: int, outputs: int) -> nn.Module:
    return nn.Sequential(
        *(nn.Conv2d(inputs, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs)),
        nn.ReLU(inplace=True),
        *(nn.Conv2d(outputs, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs)),
        nn.ReLU(inplace=True),
    )


class UNet(nn.Module):
    """Three levels down and up again, each with what the same level had on the way down."""

    def __init__(self, width: int = 16) -> None:
        super().__init__()
        widths = [width, 2 * width, 4 * width]
        self.down = nn.ModuleList(map(_pair, [3, *widths[:-1]], widths))
        self.pool, self.bottom = nn.MaxPool2d(2), _pair(widths[-1], 8 * width)
        self.grow = nn.ModuleList(nn.ConvTranspose2d(2 * one, one, 2, 2) for one in widths[::-1])
        self.up = nn.ModuleList(_pair(2 * one, one) for one in widths[::-1])
        self.out = nn.Conv2d(width, 2, 1)

    def forward(self, picture: Tensor) -> Tensor:
        x, levels = picture, []
        for level in self.down:
            x = level(x)
            levels.append(x)
            x = self.pool(x)
        x = self.bottom(x)
        for grow, level in zip(self.grow, self.up, strict=True):
            x = level(torch.cat([levels.pop(), grow(x)], 1))
        return self.out(x)


class AttentionBlock(nn.Module):
    """A layer of a Transformer with the form of `gelu` that has a kernel."""

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        self.attention = SelfAttention(width, 4)
        self.first, self.second = nn.LayerNorm(width), nn.LayerNorm(width)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x + self.attention(x, x, torch.zeros(1)))
        return self.second(x + self.down(functional.gelu(self.up(x), approximate="tanh")))


class SuperResolution(nn.Module):
    """A picture of three times the size from one channel, by pixel shuffle."""

    def __init__(self, scale: int = 3) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            *(nn.Conv2d(1, 64, 5, padding=2), nn.ReLU(), nn.Conv2d(64, 64, 3, padding=1)),
            *(nn.ReLU(), nn.Conv2d(64, 32, 3, padding=1), nn.ReLU()),
            *(nn.Conv2d(32, scale**2, 3, padding=1), nn.PixelShuffle(scale)),
        )

    def forward(self, picture: Tensor) -> Tensor:
        return self.layers(picture)


bert_qa, lstm, wav2vec, animegan_v2 = (
    BertQuestionAnswering,
    LanguageModel,
    SpeechRecogniser,
    Painter,
)
seq2seq_attention, seq2seq_transformer = AttentionTranslator, TransformerTranslator
u_net, attention_block, super_resolution = UNet, AttentionBlock, SuperResolution
