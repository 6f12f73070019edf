"""The words of pictures in every language, and the words that pictures share with the explorer's page.

No other file translates them. The page's copy of ``TERMS`` is written from here (``python -m
gatework.explorer.typescript``), so that a picture and the page beside it call a quantity by one name.
"""

from gatework.errors import ConfigError

LANGUAGES = ("en", "zh-Hans", "zh-Hant")
# What the comments of equations call quantities -> simplified Chinese, traditional Chinese. Of a comment such as
# `update gate: 1 keeps` both halves are translated; other comments stay as they are written.
TERMS = {
    "input gate": ("输入门", "輸入閘"),
    "forget gate": ("遗忘门", "遺忘閘"),
    "output gate": ("输出门", "輸出閘"),
    "reset gate": ("重置门", "重置閘"),
    "update gate": ("更新门", "更新閘"),
    "depth gate": ("深度门", "深度閘"),
    "the one gate": ("唯一的门", "唯一的閘"),
    "pre-activation of the forget gate": ("遗忘门的预激活值", "遺忘閘的預激活值"),
    "logarithm of the input gate": ("输入门的对数", "輸入閘的對數"),
    "logarithm of the forget gate": ("遗忘门的对数", "遺忘閘的對數"),
    "the input chooses how h is seen": ("由输入决定如何看待 h", "由輸入決定如何看待 h"),
    "1 for the modules whose turn it is": ("轮到的模块为 1", "輪到的模組為 1"),
    "zoneout mask": ("zoneout 掩码", "zoneout 遮罩"),
    "after zoneout": ("zoneout 之后", "zoneout 之後"),
    "dropout mask": ("dropout 掩码", "dropout 遮罩"),
    "candidate": ("候选值", "候選值"),
    "cell state": ("细胞状态", "細胞狀態"),
    "hidden state": ("隐藏状态", "隱藏狀態"),
    "projected output": ("投影输出", "投影輸出"),
    "step counter": ("步计数器", "步計數器"),
    "normaliser": ("归一化项", "正規化項"),
    "stabiliser": ("稳定项", "穩定項"),
    # What such a comment says behind its colon or comma.
    "1 keeps": ("1 表示保留", "1 表示保留"),
    "1 replaces": ("1 表示替换", "1 表示取代"),
    "1 keeps the old value": ("1 表示保留旧值", "1 表示保留舊值"),
    "always open": ("始终打开", "始終開啟"),
    "never forgets": ("从不遗忘", "從不遺忘"),
    "stabilised": ("已稳定化", "已穩定化"),
    "not squashed": ("不经压缩", "不經壓縮"),
    "between -2 and 2": ("介于 −2 与 2 之间", "介於 −2 與 2 之間"),
    "the other modules wait": ("其余模块保持不变", "其餘模組保持不變"),
    "the constant error carousel": ("恒定误差传送带", "恆定誤差輸送帶"),
}
# What the comments of attention call quantities. The explorer's page shows no cell with a memory, and has no copy.
_ATTENTION = {
    "score of each position": ("每个位置的得分", "每個位置的得分"),
    "weight of each position": ("每个位置的权重", "每個位置的權重"),
    "scaled weight of each position": ("每个位置缩放后的权重", "每個位置縮放後的權重"),
    "sum of the positions": ("各位置的加权和", "各位置的加權和"),
    "how much of the memory is read": ("读取记忆的程度", "讀取記憶的程度"),
    "height of each Gaussian": ("每个高斯函数的高度", "每個高斯函數的高度"),
    "narrowness of each Gaussian": ("每个高斯函数的窄度", "每個高斯函數的窄度"),
    "centre of each Gaussian": ("每个高斯函数的中心", "每個高斯函數的中心"),
    "each Gaussian at each position": ("每个位置上的高斯函数值", "每個位置上的高斯函數值"),
}
# The words of pictures alone: key -> English, simplified Chinese, traditional Chinese.
_PICTURES = {
    "linear": ("linear", "线性", "線性"),
    "learned layer": ("learned layer", "学习层", "學習層"),
    "pointwise operation": ("pointwise operation", "逐点运算", "逐點運算"),
    "vector transfer": ("vector transfer", "向量传输", "向量傳輸"),
    "concatenate": ("concatenate", "拼接", "串接"),
    "copy": ("copy", "复制", "複製"),
    "read": ("Read the old state", "读取旧状态", "讀取舊狀態"),
    "forget": ("Forget", "遗忘", "遺忘"),
    "write": ("Write", "写入", "寫入"),
    "update": ("Update the state", "更新状态", "更新狀態"),
    "output": ("Output", "输出", "輸出"),
    "step": ("The new state", "新状态", "新狀態"),
    "memory": ("memory", "记忆", "記憶"),
    # What a screen reader says of a picture; {0} is the cell's title.
    "cell of": ("One step of {0}", "{0}的一个时间步", "{0}的一個時間步"),
    "chain of": ("{0}, unrolled over {1} steps", "{0}，展开{1}个时间步", "{0}，展開{1}個時間步"),
    "walk of": ("{0}, step by step", "{0}，逐步讲解", "{0}，逐步講解"),
    "compare of": ("{0} beside {1}", "{0}与{1}对比", "{0}與{1}對比"),
    "loop of": ("{0} as a loop", "{0}的循环结构", "{0}的循環結構"),
    "unrolled of": ("{0} as a chain of copies", "{0}展开成链", "{0}展開成鏈"),
    "memory of": ("The memory of {0} and its self-loop", "{0}的记忆单元及其自环", "{0}的記憶單元及其自環"),
    "notation of": ("The notation of the pictures", "图例", "圖例"),
}
# What the explorer calls texts that are cut from a run's own; {0} is the run's name.
_TEXTS = {
    "held-out piece": ("{0}: held-out text {1}", "{0}：未见过的文本 {1}", "{0}：未見過的文字 {1}"),
    "held-out whole": (
        "{0}: {1:,} symbols of held-out text",
        "{0}：未见过的文本，{1:,} 个符号",
        "{0}：未見過的文字，{1:,} 個符號",
    ),
    "recorded": ("the recorded text", "录制的文本", "錄製的文字"),
}
_WORDS = _PICTURES | _TEXTS | {term: (term, *translated) for term, translated in (TERMS | _ATTENTION).items()}


def word(key: str, language: str, *parts: object) -> str:
    """Return a word in a language.

    Args:
        key: Its key in the table.
        language: ``en``, ``zh-Hans`` or ``zh-Hant``.
        *parts: What replaces its placeholders.

    Returns:
        The word.

    Raises:
        ConfigError: For a language the pictures are not drawn in.

    Example:
        >>> word("copy", "zh-Hant"), word("cell of", "en", "GRU")
        ('複製', 'One step of GRU')
    """
    check_language(language)
    return _WORDS[key][LANGUAGES.index(language)].format(*parts)


def said(comment: str, language: str) -> str:
    """Return what the comment of an equation calls its quantity.

    Args:
        comment: The comment, in whatever language it is written.
        language: ``en``, ``zh-Hans`` or ``zh-Hant``.

    Returns:
        The comment; in Chinese, where it begins with a word of the table, that word.

    Example:
        >>> said("update gate: 1 keeps", "zh-Hans"), said("my own", "zh-Hans"), said("update gate: 1 keeps", "en")
        ('更新门', 'my own', 'update gate: 1 keeps')
    """
    check_language(language)
    head = comment.partition(":")[0].partition(",")[0].strip()
    return word(head, language) if head in TERMS | _ATTENTION and language != LANGUAGES[0] else comment


def check_language(language: str) -> None:
    """Refuse a language the pictures are not drawn in."""
    if language not in LANGUAGES:
        raise ConfigError(f"The language is {language!r}; pictures are drawn in {', '.join(LANGUAGES)}.")
