import com.ibm.icu.text.Normalizer2;
import java.util.Map;
import java.util.function.UnaryOperator;
import org.apache.lucene.analysis.TokenStream;
import org.apache.lucene.analysis.Tokenizer;
import org.apache.lucene.analysis.icu.ICUFoldingFilter;
import org.apache.lucene.analysis.icu.ICUNormalizer2Filter;
import org.apache.lucene.analysis.icu.segmentation.ICUTokenizer;
import org.opensearch.index.analysis.AbstractTokenizerFactory;
import org.opensearch.index.analysis.NormalizingTokenFilterFactory;
import org.opensearch.index.analysis.TokenFilterFactory;
import org.opensearch.index.analysis.TokenizerFactory;
import org.opensearch.indices.analysis.AnalysisModule.AnalysisProvider;
import org.opensearch.plugins.AnalysisPlugin;
import org.opensearch.plugins.Plugin;

/**
 * Stands in for the plugin analysis-icu, which Maven Central does not carry: the three names that
 * {@code text_analysis = "icu"} uses, over the same library of Lucene, with their defaults.
 */
public class IcuPlugin extends Plugin implements AnalysisPlugin {
    @Override
    public Map<String, AnalysisProvider<TokenizerFactory>> getTokenizers() {
        return Map.of("icu_tokenizer", (index, environment, name, settings) ->
            new AbstractTokenizerFactory(index, settings, name) {
                @Override
                public Tokenizer create() {
                    return new ICUTokenizer();
                }
            });
    }

    @Override
    public Map<String, AnalysisProvider<TokenFilterFactory>> getTokenFilters() {
        Normalizer2 caseFolding = Normalizer2.getInstance(null, "nfkc_cf", Normalizer2.Mode.COMPOSE);
        return Map.of(
            "icu_folding", filter(ICUFoldingFilter::new),
            "icu_normalizer", filter(tokens -> new ICUNormalizer2Filter(tokens, caseFolding)));
    }

    /** Both may stand in normalizers of keywords, as in the plugin. */
    private static AnalysisProvider<TokenFilterFactory> filter(UnaryOperator<TokenStream> over) {
        return (index, environment, name, settings) -> new NormalizingTokenFilterFactory() {
            @Override
            public String name() {
                return name;
            }

            @Override
            public TokenStream create(TokenStream tokens) {
                return over.apply(tokens);
            }
        };
    }
}
